package assemble

import (
	"context"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/recipes"
)

// provenance says how the image came to be.
func (n *node) provenance(context.Context) ([]byte, error) { return n.predicate().Encode() }

// predicate is the image's provenance. Before the parent is built, its digest
// is missing in it.
func (n *node) predicate() *provenance.Predicate {
	in := provenance.Input{
		Lock: n.run.Lock, Compression: string(n.run.compression()), SourceDate: n.run.SourceDate,
		Version: n.version, BuildID: n.buildID,
		Formats: provenance.Formats{BuildID: recipes.FormatVersion, Lock: recipes.LockFormat, Layer: layers.Format},
		Encoder: layers.EncoderID, EncoderGolden: layers.EncoderGolden,
		Builder: n.run.Builder, Tool: n.run.Tool,
	}
	for _, at := range n.chain() {
		in.Chain, in.Locked = append(in.Chain, at.image), append(in.Locked, *at.locked)
	}
	if n.parent != nil && n.parent.built != nil {
		in.Parent = n.parent.built.Digest
	}
	return provenance.New(in)
}

// chain is the image with its ancestors, the base first.
func (n *node) chain() []*node {
	if n.parent == nil {
		return []*node{n}
	}
	return append(n.parent.chain(), n)
}
