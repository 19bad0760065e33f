// Package rebase puts a published image onto another base: its content layers
// stay as they are, byte for byte, and what depends on the base is made anew
// from recipes and lock. Both images must be signed by somebody who may sign,
// since the result is signed again.
package rebase

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/existing"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

// Options say whom to believe.
type Options struct {
	// Rules say who may have signed the image and the base.
	Rules verify.Rules
	// Layers has every layer of the image read and unpacked to its diffID:
	// wanted where others than the one who signs now may have signed it.
	Layers bool
	// Registry says how registries are reached.
	Registry publish.RegistryOptions
}

// Image is a published image with the base that it is to get.
type Image struct {
	image *existing.Image
	onto  string
	name  string // of the base
	base  map[recipes.Platform]digest.Digest
}

// Find reads and verifies an image and a base, both as verify does: the base
// with its own bases, the image without, since it is to leave them.
func Find(ctx context.Context, ref, onto string, o Options) (*Image, error) {
	i := &Image{onto: onto}
	at, err := verified(ctx, ref, o, true)
	if err != nil {
		return nil, err
	}
	if i.image, err = existing.Find(ctx, at, existing.Options{Rules: o.Rules, Registry: o.Registry}); err != nil {
		return nil, err
	}
	if at, err = verified(ctx, onto, o, false); err != nil {
		return nil, fmt.Errorf("--onto: %w", err)
	}
	if i.name, i.base, err = manifests(ctx, at, o); err != nil {
		return nil, fmt.Errorf("--onto: %w", err)
	}
	return i, nil
}

// verified verifies a reference and gives one by digest, which nobody moves
// meanwhile.
func verified(ctx context.Context, ref string, o Options, leaves bool) (string, error) {
	rules := o.Rules
	if leaves {
		rules = func(destination, image string) (verify.Rule, error) {
			r, err := o.Rules(destination, image)
			r.Parents, r.MaxAge = nil, 0 // it is to leave its bases, perhaps because it is old
			return r, err
		}
	}
	report, err := verify.Verify(ctx, ref, verify.Options{Rules: rules, Registry: o.Registry, NoChain: leaves, Layers: leaves && o.Layers})
	if err != nil {
		return "", err
	}
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return "", err
	}
	return reference.Repository.Reference(report.Digest), nil
}

// manifests are the image manifests of a reference by platform, with the name
// of the image.
func manifests(ctx context.Context, ref string, o Options) (string, map[recipes.Platform]digest.Digest, error) {
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return "", nil, err
	}
	top, err := reference.Manifest(ctx)
	if err != nil {
		return "", nil, err
	}
	found := map[recipes.Platform]digest.Digest{}
	if top.MediaType == ocispec.MediaTypeImageIndex {
		children, err := verify.Platforms(top)
		for _, c := range children {
			found[recipes.Platform(c.Platform)] = c.Digest
		}
		return reference.Image, found, err
	}
	platforms, err := publish.PlatformsOf(ctx, reference.Repository, top.Descriptor())
	for _, p := range platforms {
		found[p] = top.Digest()
	}
	return reference.Image, found, err
}

// Ref is the image as the recipes name it, and Distro what it is made of.
func (i *Image) Ref() recipes.Ref       { return i.image.Ref() }
func (i *Image) Distro() recipes.Distro { return i.image.Distro() }

// Platforms are those that the image is published for.
func (i *Image) Platforms() []recipes.Platform {
	var list []recipes.Platform
	for _, p := range i.image.Platforms {
		list = append(list, p.Provenance.BuildDefinition.ExternalParameters.Platform)
	}
	return list
}

// ErrBase is a base that the image cannot be put onto.
var ErrBase = errors.New("not a base for the image")

// Done says that the image stands on this base already, on all platforms.
func (i *Image) Done() bool {
	for _, p := range i.image.Platforms {
		parent, ok := p.Provenance.Parent()
		if !ok || digest.NewDigestFromEncoded(digest.SHA256, string(parent.Digest.SHA256)) != i.base[p.Provenance.BuildDefinition.ExternalParameters.Platform] {
			return false
		}
	}
	return true
}

// Run makes the image on its new base and publishes it. The options need
// recipes, the lock, a store, a fetcher, a destination and a signer; Refs,
// Platforms, Compression and SourceDate are those of the published image.
func (i *Image) Run(ctx context.Context, o assemble.Options) (assemble.Result, error) {
	o, err := i.options(o)
	if err != nil {
		return assemble.Result{}, fmt.Errorf("rebase %s onto %s: %w", i.image.Reference, i.onto, err)
	}
	result, err := assemble.Run(ctx, o)
	if err != nil {
		return assemble.Result{}, fmt.Errorf("rebase %s onto %s: %w", i.image.Reference, i.onto, err)
	}
	return result, nil
}

func (i *Image) options(o assemble.Options) (assemble.Options, error) {
	o.Rebase = &assemble.Rebase{Repository: i.image.Repository, Platforms: map[recipes.Platform]assemble.Rebased{}}
	o.Platforms = i.Platforms()
	var err error
	if o.Refs, err = o.Set.Select([]string{i.Ref().String()}, false, o.Lock.Distro); err != nil {
		return o, err
	}
	chain, err := o.Set.Chain(i.Ref(), o.Lock.Distro, o.Platforms[0])
	if err != nil {
		return o, err
	}
	if len(chain) < 2 {
		return o, fmt.Errorf("%w: it is a base itself: push makes it anew", ErrBase)
	}
	if parent := chain[len(chain)-2].Ref; parent.Name != i.name {
		return o, fmt.Errorf("%w: %s is built from %s, and this is %s: rebase from the root upwards, one image after the other", ErrBase, i.Ref(), parent, i.name)
	}
	for _, p := range i.image.Platforms {
		given := p.Provenance.BuildDefinition.ExternalParameters
		base, ok := i.base[given.Platform]
		if !ok {
			return o, fmt.Errorf("%w: it has no platform %s, and the image has", ErrBase, given.Platform)
		}
		o.Rebase.Platforms[given.Platform] = assemble.Rebased{
			Manifest: p.Manifest, Provenance: p.Provenance, Base: recipes.Digest(base.Encoded()),
		}
		o.SourceDate = given.SourceDate
		if o.Compression, err = layers.ParseCompression(given.Compression); err != nil {
			return o, err
		}
	}
	slices.Sort(o.Platforms)
	return o, nil
}
