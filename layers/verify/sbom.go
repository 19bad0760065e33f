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

// SBOM returns the SPDX document attached to a reference, for a platform:
// empty means the machine's own of an index, and that of any other image. It
// is signed by somebody who may sign the image, and speaks of this manifest.
// The error is ErrUsage where the image is not for that platform.
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
		m, err = choose(ctx, reference.Repository, m, platform)
	} else if platform != "" {
		err = holds(ctx, reference.Repository, m, platform)
	}
	if err != nil {
		return nil, err
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

// holds is an error where an image of one platform is of another.
func holds(ctx context.Context, repo publish.Repository, m publish.Manifest, platform recipes.Platform) error {
	i, err := readImage(ctx, repo, m, "")
	if err != nil {
		return err
	}
	if i.platform != string(platform) {
		return fmt.Errorf("%w: it is for %s, not for %s", ErrUsage, i.platform, platform)
	}
	return nil
}

// choose is the manifest of one platform of an index, by default of the
// machine's own.
func choose(ctx context.Context, repo publish.Repository, index publish.Manifest, platform recipes.Platform) (publish.Manifest, error) {
	children, err := Platforms(index)
	if err != nil {
		return publish.Manifest{}, fmt.Errorf("%w: %w", ErrContent, err)
	}
	if platform == "" {
		platform = recipes.Machine()
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
