// Package existing reads an image that has been published, with what its
// builder said of how it came to be: the ground for building it again, or for
// putting it onto another base.
package existing

import (
	"context"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

// Options say what to look at.
type Options struct {
	// Rules say who may have signed the provenance. Without them the signature
	// is not checked, and the provenance is only as good as the place it lies
	// in.
	Rules verify.Rules
	// Platforms of an index; empty means all that it has. An image without an
	// index must be of the one that is named.
	Platforms []recipes.Platform
	// Registry says how registries are reached.
	Registry publish.RegistryOptions
}

// Image is an image as it was found.
type Image struct {
	Reference string // as it was asked for
	// Signers are those who may have signed the provenance, one of whom did;
	// empty where that was not checked.
	Signers    string
	Repository publish.Repository
	Top        publish.Manifest // what the reference names
	Whole      bool             // every platform of the index is among Platforms
	Platforms  []Platform
}

// Platform is one platform of it.
type Platform struct {
	Manifest   publish.Manifest
	Provenance *provenance.Predicate
}

// Find reads a reference and the provenance of each of its platforms. The
// error is verify.ErrAttestation where there is no provenance of this build
// type that is signed by somebody who may sign and speaks of the image.
func Find(ctx context.Context, ref string, o Options) (*Image, error) {
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return nil, err
	}
	p := &Image{Reference: ref, Repository: reference.Repository}
	signers := trust.Signers{trust.Unverified()}
	if o.Rules != nil {
		rule, err := o.Rules(reference.Destination.String(), reference.Image)
		if err != nil {
			return nil, err
		}
		signers, p.Signers = rule.Signers, rule.Signers.String()
	}
	if p.Top, err = reference.Manifest(ctx); err != nil {
		return nil, err
	}
	children := []verify.Child{{Digest: p.Top.Digest()}}
	if p.Top.MediaType == ocispec.MediaTypeImageIndex {
		if children, err = verify.Platforms(p.Top); err != nil {
			return nil, err
		}
	}
	total := len(children)
	if children, err = chosen(children, o.Platforms); err != nil {
		return nil, err
	}
	p.Whole = len(children) == total
	for _, child := range children {
		one, err := p.image(ctx, child, reference.Image, signers)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", child.Digest, err)
		}
		p.Platforms = append(p.Platforms, one)
	}
	if children[0].Platform == "" {
		if err := p.holds(o.Platforms); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// holds is an error where an image without an index is not of a platform that
// was asked for.
func (p *Image) holds(platforms []recipes.Platform) error {
	own := p.Platforms[0].Provenance.BuildDefinition.ExternalParameters.Platform
	for _, platform := range platforms {
		if platform != own {
			return fmt.Errorf("%w: it is for %s, not for %s", publish.ErrUsage, own, platform)
		}
	}
	return nil
}

// chosen are the platforms that were asked for. What is no index has one
// platform, which nothing but its provenance names here.
func chosen(children []verify.Child, platforms []recipes.Platform) ([]verify.Child, error) {
	if len(platforms) == 0 || children[0].Platform == "" {
		return children, nil
	}
	var list []verify.Child
	for _, platform := range platforms {
		at := slices.IndexFunc(children, func(c verify.Child) bool { return c.Platform == string(platform) })
		if at < 0 {
			return nil, fmt.Errorf("%w: it has no platform %s", publish.ErrUsage, platform)
		}
		list = append(list, children[at])
	}
	return list, nil
}

// image reads one platform's manifest and provenance.
func (p *Image) image(ctx context.Context, child verify.Child, name string, signers trust.Signers) (Platform, error) {
	m := p.Top
	if child.Platform != "" {
		var err error
		if m, err = p.Repository.Manifest(ctx, child.Digest); err != nil {
			return Platform{}, err
		}
	}
	if m.MediaType != ocispec.MediaTypeImageManifest {
		return Platform{}, fmt.Errorf("%s is not an image manifest", m.MediaType)
	}
	data, err := verify.Attested(ctx, p.Repository, m, attest.PredicateSLSA, signers)
	if err != nil {
		return Platform{}, fmt.Errorf("provenance: %w", err)
	}
	predicate, err := provenance.Parse(data)
	if err == nil {
		err = predicate.About(provenance.Image{Name: name, Platform: recipes.Platform(child.Platform), Manifest: m.Raw})
	}
	if err != nil {
		return Platform{}, fmt.Errorf("%w: %w", verify.ErrAttestation, err)
	}
	return Platform{m, predicate}, nil
}

// Signed says whether it was checked who signed the provenance.
func (p *Image) Signed() bool { return p.Signers != "" }

// Distro is that of the image.
func (p *Image) Distro() recipes.Distro {
	return p.Platforms[0].Provenance.BuildDefinition.ExternalParameters.Distro
}

// Ref is the image as the recipes name it.
func (p *Image) Ref() recipes.Ref {
	return p.Platforms[0].Provenance.BuildDefinition.ExternalParameters.Ref()
}
