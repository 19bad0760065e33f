package reproduce

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
	// Platforms of an index; empty means all that it has.
	Platforms []recipes.Platform
	// Registry says how registries are reached.
	Registry publish.RegistryOptions
}

// Published is an image as it was found.
type Published struct {
	reference string
	signers   string // who may have signed the provenance; empty where that was not checked
	repo      publish.Repository
	top       publish.Manifest
	whole     bool // every platform of the index is among the images
	images    []published
}

// published is one platform of it.
type published struct {
	manifest  publish.Manifest
	predicate *provenance.Predicate
}

// Find reads a reference and the provenance of each of its platforms. The
// error is verify.ErrAttestation where there is no provenance of this build
// type that is signed by somebody who may sign and speaks of the image.
func Find(ctx context.Context, ref string, o Options) (*Published, error) {
	p, err := find(ctx, ref, o)
	if err != nil {
		return nil, fmt.Errorf("reproduce %s: %w", ref, err)
	}
	return p, nil
}

func find(ctx context.Context, ref string, o Options) (*Published, error) {
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return nil, err
	}
	p := &Published{reference: ref, repo: reference.Repository}
	signers := trust.Signers{trust.Unverified()}
	if o.Rules != nil {
		rule, err := o.Rules(reference.Destination.String(), reference.Image)
		if err != nil {
			return nil, err
		}
		signers, p.signers = rule.Signers, rule.Signers.String()
	}
	if p.top, err = reference.Manifest(ctx); err != nil {
		return nil, err
	}
	children := []verify.Child{{Digest: p.top.Digest()}}
	if p.top.MediaType == ocispec.MediaTypeImageIndex {
		if children, err = verify.Platforms(p.top); err != nil {
			return nil, err
		}
	}
	total := len(children)
	if children, err = chosen(children, o.Platforms); err != nil {
		return nil, err
	}
	p.whole = len(children) == total
	for _, child := range children {
		one, err := p.image(ctx, child, reference.Image, signers)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", child.Digest, err)
		}
		p.images = append(p.images, one)
	}
	return p, nil
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
func (p *Published) image(ctx context.Context, child verify.Child, name string, signers trust.Signers) (published, error) {
	m := p.top
	if child.Platform != "" {
		var err error
		if m, err = p.repo.Manifest(ctx, child.Digest); err != nil {
			return published{}, err
		}
	}
	if m.MediaType != ocispec.MediaTypeImageManifest {
		return published{}, fmt.Errorf("%s is not an image manifest", m.MediaType)
	}
	data, err := verify.Attested(ctx, p.repo, m, attest.PredicateSLSA, signers)
	if err != nil {
		return published{}, fmt.Errorf("provenance: %w", err)
	}
	predicate, err := provenance.Parse(data)
	if err == nil {
		err = predicate.About(provenance.Image{Name: name, Platform: recipes.Platform(child.Platform), Manifest: m.Raw})
	}
	if err != nil {
		return published{}, fmt.Errorf("%w: %w", verify.ErrAttestation, err)
	}
	return published{m, predicate}, nil
}

// Signed says whether it was checked who signed the provenance.
func (p *Published) Signed() bool { return p.signers != "" }

// Distro is that of the image.
func (p *Published) Distro() recipes.Distro {
	return p.images[0].predicate.BuildDefinition.ExternalParameters.Distro
}

// Ref is the image as the recipes name it.
func (p *Published) Ref() recipes.Ref {
	return p.images[0].predicate.BuildDefinition.ExternalParameters.Ref()
}
