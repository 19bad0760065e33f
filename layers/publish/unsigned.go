package publish

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// unsigned writes what is said of a manifest beside it, in a layout that is
// signed elsewhere: see attest.Unsigned.
func (p *publication) unsigned(ctx context.Context, m Manifest, attestations []Attestation) error {
	if len(attestations) == 0 {
		return nil
	}
	subject, err := Hex(m.Digest())
	if err != nil {
		return err
	}
	items := make([]attest.Item, 0, len(attestations))
	for _, a := range attestations {
		predicate, err := a.Predicate(ctx)
		if err != nil {
			return fmt.Errorf("attestation %s: %w", a.PredicateType, err)
		}
		statement, err := attest.NewStatement(p.repo.Name(), subject, a.PredicateType, predicate)
		if err != nil {
			return err
		}
		items = append(items, attest.UnsignedItem(a.PredicateType, statement))
	}
	made, err := attest.Unsigned(m.Descriptor(), items)
	if err != nil {
		return err
	}
	blobs := []Blob{BytesBlob(made.Config.MediaType, made.Config.Content)}
	for _, item := range items {
		blobs = append(blobs, BytesBlob(item.MediaType, item.Content))
	}
	if err := p.blobs(ctx, blobs); err != nil {
		return err
	}
	manifest := Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: made.Raw}
	if err := p.manifest(ctx, manifest); err != nil {
		return err
	}
	tag := attest.UnsignedTag(subject)
	p.name(tag, manifest.Digest())
	if current, err := p.repo.Resolve(ctx, tag); err == nil && current.Digest == manifest.Digest() {
		return nil
	} else if err != nil && !errors.Is(err, ErrNoTag) {
		return err
	}
	return p.repo.Tag(ctx, manifest, []string{tag})
}

// Unsigned finds the unsigned statements that lie beside a manifest, as
// descriptors by predicate type; OpenUnsigned reads one. The error is ErrNoTag
// where there are none.
func Unsigned(ctx context.Context, repo Repository, m Manifest) (map[string]attest.Item, error) {
	subject, err := Hex(m.Digest())
	if err != nil {
		return nil, err
	}
	d, err := repo.Resolve(ctx, attest.UnsignedTag(subject))
	if err != nil {
		return nil, err
	}
	said, err := repo.Manifest(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	return attest.ReadUnsigned(said.Raw, m.Descriptor())
}

// OpenUnsigned reads one of the statements that Unsigned found.
func OpenUnsigned(ctx context.Context, repo Repository, item attest.Item, m Manifest) (*attest.Statement, error) {
	subject, err := Hex(m.Digest())
	if err != nil {
		return nil, err
	}
	content, err := ReadSmall(ctx, repo, item.Descriptor)
	if err != nil {
		return nil, err
	}
	return attest.OpenUnsigned(content, item.Annotations[attest.AnnotationStatement], subject)
}
