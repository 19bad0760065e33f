package assemble

import (
	"context"
	"errors"
	"io"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/recipes"
)

// sbomRecord is the kind of the store's records from image keys to SBOMs.
const sbomRecord = "sbom"

// spdx gives the image's SBOM, from the store where it was written before.
func (n *node) spdx(ctx context.Context) ([]byte, error) {
	key := n.key + " " + string(n.built.Digest) + " " + n.run.Tool + " " + sbom.Format
	if d, ok := n.run.Store.Record(sbomRecord, key); ok {
		data, err := n.read(ctx, recipes.Digest(d))
		if err == nil {
			return data, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	in, err := n.description(ctx)
	if err != nil {
		return nil, err
	}
	data, err := sbom.SPDX(ctx, in)
	if err != nil {
		return nil, err
	}
	d, err := n.store(ctx, data)
	if err != nil {
		return nil, err
	}
	return data, n.run.Store.SetRecord(sbomRecord, key, []byte(d))
}

func (n *node) read(ctx context.Context, d recipes.Digest) (_ []byte, err error) {
	f, err := n.run.Store.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(f)
}

func (n *node) store(ctx context.Context, data []byte) (recipes.Digest, error) {
	w, err := n.run.Store.Create(ctx)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	d, _, err := w.Commit("")
	return d, err
}

// description is what an SBOM says: every artefact and every layer, the
// ancestors' included, the base first.
func (n *node) description(ctx context.Context) (sbom.Input, error) {
	in := sbom.Input{
		Name: n.image.Name, Version: n.version, Tag: n.built.Tags[0], Platform: n.image.Platform, Distro: n.image.Distro,
		Digest: n.built.Digest, Created: n.built.Created, Tool: n.run.Tool,
	}
	if p := n.parent; p != nil {
		in.Base = &sbom.Base{Name: p.image.Name, Version: p.version, Digest: p.built.Digest}
	}
	for _, at := range n.chain() {
		for _, a := range at.locked.Artifacts {
			in.Artifacts = append(in.Artifacts, sbom.Artifact{Artifact: a, Inherited: at != n})
		}
		for _, d := range at.record.Dropped {
			in.Dropped = append(in.Dropped, sbom.Dropped{
				Owner: d.Owner, Path: d.Path, Reason: d.Reason, SHA256: d.SHA256, Original: d.Original,
			})
		}
	}
	for _, l := range n.built.Layers {
		entries, err := layers.LoadEntries(ctx, n.run.Store, l.Blob)
		if err != nil {
			return sbom.Input{}, err
		}
		in.Layers = append(in.Layers, sbom.Layer{Name: l.Image + "/" + l.Name, Entries: entries, Inherited: !l.Own})
	}
	return in, nil
}

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
