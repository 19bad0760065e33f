package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/recipes"
)

// sbom looks for an SBOM that the key signed and that speaks of the manifest.
func (c *checker) sbom(ctx context.Context, m publish.Manifest, platform string) error {
	f := Finding{Check: "sbom", Digest: m.Digest().String(), Platform: platform, Expected: "SPDX signed by key " + c.verifier.ID()}
	subject, err := digestOf(m)
	if err != nil {
		return err
	}
	items, err := Items(ctx, c.repo, attest.AttestationTag(subject))
	if errors.Is(err, ErrNoTag) {
		f.Found, f.Advice = "no attestation", "push the image again"
		return c.fail(ErrAttestation, f)
	}
	if err != nil {
		return err
	}
	var why []string
	for _, item := range items {
		if item.Annotations[attest.AnnotationPredicate] != attest.PredicateSPDX {
			continue
		}
		found, err := c.oneSBOM(ctx, item, subject)
		if err == nil {
			f.Found = found
			return c.pass(f)
		}
		why = append(why, err.Error())
	}
	f.Found, f.Advice = strings.Join(why, "; "), "do not trust what this image says it holds; push it again"
	if len(why) == 0 {
		f.Found = "no SPDX attestation"
	}
	return c.fail(ErrAttestation, f)
}

// oneSBOM checks one attestation and says what it lists.
func (c *checker) oneSBOM(ctx context.Context, item attest.Item, subject recipes.Digest) (string, error) {
	content, err := publish.ReadSmall(ctx, c.repo, item.Descriptor)
	if err != nil {
		return "", err
	}
	item.Content = content
	statement, err := c.verifier.Attestation(item, subject)
	if err != nil {
		return "", err
	}
	if statement.PredicateType != attest.PredicateSPDX {
		return "", fmt.Errorf("states %s", statement.PredicateType)
	}
	doc, err := sbom.Parse(statement.Predicate)
	if err != nil {
		return "", err
	}
	image, err := sbom.Image(doc)
	if err != nil {
		return "", err
	}
	for _, sum := range image.PackageChecksums {
		if sum.Algorithm == common.SHA256 && sum.Value == string(subject) {
			return fmt.Sprintf("%d packages, %d files", len(doc.Packages), len(doc.Files)), nil
		}
	}
	return "", errors.New("the SBOM describes another manifest")
}

// SBOM returns the SPDX document attached to a reference, for the platform
// where it is an index. With a key in the options the signature is checked;
// without one the document is only as good as the place it lies in.
func SBOM(ctx context.Context, ref string, platform recipes.Platform, o Options) ([]byte, error) {
	reference, err := publish.ParseReference(ref, o.Registry)
	if err != nil {
		return nil, err
	}
	m, err := reference.Manifest(ctx)
	if err != nil {
		return nil, fmt.Errorf("SBOM of %s: %w", ref, err)
	}
	if m.MediaType == ocispec.MediaTypeImageIndex {
		if m, err = choose(ctx, reference.Repository, m, platform); err != nil {
			return nil, fmt.Errorf("SBOM of %s: %w", ref, err)
		}
	}
	subject, err := digestOf(m)
	if err != nil {
		return nil, err
	}
	document, err := Predicate(ctx, reference.Repository, subject, attest.PredicateSPDX, o.Key)
	if err != nil {
		return nil, fmt.Errorf("SBOM of %s: %w", ref, err)
	}
	return document, nil
}

func choose(ctx context.Context, repo publish.Repository, index publish.Manifest, platform recipes.Platform) (publish.Manifest, error) {
	children, err := Platforms(index)
	if err != nil {
		return publish.Manifest{}, err
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
