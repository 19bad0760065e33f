package assemble

import (
	"context"
	"fmt"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/recipes"
)

// Rebuild builds the image that a predicate speaks of, and its ancestors, with
// the parameters that it names. Nothing is published. Refs, Platforms,
// Compression and SourceDate of the options do not count; with an empty store
// everything is made anew. Where recipes, lock, program or Go are not those of
// the predicate, the error is a *provenance.InputsError, or says what else is
// missing, and nothing is built.
func Rebuild(ctx context.Context, o Options, p *provenance.Predicate) (*image.Built, error) {
	parameters := p.BuildDefinition.ExternalParameters
	if o.Lock == nil || o.Lock.Distro != parameters.Distro {
		return nil, fmt.Errorf("image %s: no lock of %s is here", parameters.Ref(), parameters.Distro)
	}
	chain, err := o.Set.Chain(parameters.Ref(), parameters.Distro, parameters.Platform)
	if err != nil {
		return nil, err
	}
	o.Refs = nil
	for _, one := range chain {
		o.Refs = append(o.Refs, one.Ref)
	}
	o.Platforms = []recipes.Platform{parameters.Platform}
	o.Dest, o.Signer, o.SourceDate = nil, nil, parameters.SourceDate
	if o.Compression, err = layers.ParseCompression(parameters.Compression); err != nil {
		return nil, err
	}
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	n := r.nodes[len(r.nodes)-1]
	if err := p.SameInputs(n.predicate()); err != nil {
		return nil, err
	}
	if p.BuildDefinition.InternalParameters.Go != "" {
		if err := o.Go.Check(ctx); err != nil {
			return nil, fmt.Errorf("image %s: %w", n.image.Ref, err)
		}
	}
	if _, err := r.all(ctx); err != nil {
		return nil, err
	}
	return n.built, nil
}
