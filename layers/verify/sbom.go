package verify

import (
	"context"
	"fmt"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/recipes"
)

// SBOM returns the SPDX document attached to a reference, for the platform
// where it is an index. It is signed by somebody who may sign the image, and
// speaks of this manifest.
func SBOM(ctx context.Context, ref string, platform recipes.Platform, o Options) ([]byte, error) {
	document, err := readSBOM(ctx, ref, platform, o)
	if err != nil {
		return nil, fmt.Errorf("SBOM of %s: %w", ref, err)
	}
	return document, nil
}

func readSBOM(ctx context.Context, ref string, platform recipes.Platform, o Options) ([]byte, error) {
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return nil, err
	}
	rule, err := o.Rules(reference.Destination.String(), reference.Image)
	if err != nil {
		return nil, err
	}
	m, err := reference.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	if m.MediaType == ocispec.MediaTypeImageIndex {
		if m, err = choose(ctx, reference.Repository, m, platform); err != nil {
			return nil, err
		}
	}
	document, err := Attested(ctx, reference.Repository, m, attest.PredicateSPDX, rule.Signers)
	if err != nil {
		return nil, err
	}
	if _, err := spdx(document, m.Digest().String()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAttestation, err)
	}
	return document, nil
}

func choose(ctx context.Context, repo publish.Repository, index publish.Manifest, platform recipes.Platform) (publish.Manifest, error) {
	children, err := Platforms(index)
	if err != nil {
		return publish.Manifest{}, fmt.Errorf("%w: %w", ErrContent, err)
	}
	var names []string
	for _, child := range children {
		if child.Platform == string(platform) {
			return repo.Manifest(ctx, child.Digest)
		}
		names = append(names, child.Platform)
	}
	return publish.Manifest{}, fmt.Errorf("%w: no platform %q, it has %s: choose with --platform",
		ErrUsage, platform, strings.Join(names, ", "))
}

// Attested returns what is attested of a manifest under a predicate type, by
// somebody who may sign: the first where there are several. The error is
// ErrAttestation where there is none, or none that is so signed and speaks of
// the manifest.
func Attested(ctx context.Context, repo publish.Repository, m publish.Manifest, predicateType string, signers trust.Signers) ([]byte, error) {
	c := checker{}
	e, err := c.gather(ctx, place{image: path.Base(repo.Name()), repo: repo, rule: Rule{Signers: signers}}, m, "", false)
	if err != nil {
		return nil, err
	}
	for _, a := range e.accepted {
		if kindOf(a) == predicateType {
			return a.Statement.Predicate, nil
		}
	}
	why := e.others(predicateType, -1)
	if len(why) == 0 {
		return nil, fmt.Errorf("%w: no attestation of the type %s", ErrAttestation, predicateType)
	}
	return nil, fmt.Errorf("%w: %s", ErrAttestation, strings.Join(shortened(why), "; "))
}
