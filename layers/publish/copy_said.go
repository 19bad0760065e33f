package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

// referrers copies what refers to a manifest: sigstore bundles, and whatever
// else others have said of it.
func (c *copier) referrers(ctx context.Context, subject Manifest) error {
	listed, err := c.from.Referrers(ctx, subject.Digest())
	if err != nil {
		return err
	}
	for _, d := range listed {
		err := c.oneReferrer(ctx, d, subject)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return err
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt), errors.Is(err, ErrUnreadable):
			// Lists of referrers outlive what they name, and whoever may write
			// to a repository can add to them.
			c.options.Progress.Say("left out: what %s says of %s: %v", d.Digest, subject.Digest(), err)
		default:
			return err
		}
	}
	return nil
}

func (c *copier) oneReferrer(ctx context.Context, d ocispec.Descriptor, subject Manifest) error {
	m, err := c.from.Manifest(ctx, d.Digest)
	if err != nil {
		return err
	}
	if m.MediaType != ocispec.MediaTypeImageManifest {
		return fmt.Errorf("%w: of type %s", ErrUnreadable, m.MediaType)
	}
	if of, err := referrerSubject(m); err != nil || of != subject.Digest() {
		return fmt.Errorf("%w: it refers to %s", ErrUnreadable, of)
	}
	if err := c.contents(ctx, m); err != nil {
		return err
	}
	return c.publication.referrers(ctx, m)
}

// statements copies the unsigned statements that lie beside a manifest, to
// another layout.
func (c *copier) statements(ctx context.Context, subject recipes.Digest) error {
	if !c.layout {
		return nil
	}
	tag := attest.UnsignedTag(subject)
	m, ok, err := c.under(ctx, tag)
	if err != nil || !ok {
		return err
	}
	if there, err := c.repo.Resolve(ctx, tag); err == nil && there.Digest == m.Digest() {
		return nil
	}
	return c.repo.Tag(ctx, m, []string{tag})
}

// under copies the manifest that a tag of the source names; it says whether
// there is one.
func (c *copier) under(ctx context.Context, tag string) (Manifest, bool, error) {
	d, err := c.from.Resolve(ctx, tag)
	if errors.Is(err, ErrNoTag) {
		return Manifest{}, false, nil
	}
	if err != nil {
		return Manifest{}, false, err
	}
	m, err := c.from.Manifest(ctx, d.Digest)
	if err != nil {
		return Manifest{}, false, err
	}
	return m, true, c.one(ctx, m)
}

// said copies the manifest under one of cosign's tags. Where the destination
// has another there, both are kept.
func (c *copier) said(ctx context.Context, tag string) error {
	m, ok, err := c.under(ctx, tag)
	if err != nil || !ok {
		return err
	}
	for try := 1; ; try++ {
		err := c.join(ctx, m, tag)
		if !errors.Is(err, ErrChanged) || try == swapTries {
			return err
		}
	}
}

// join puts a copied manifest under one of cosign's tags, with what is there.
func (c *copier) join(ctx context.Context, m Manifest, tag string) error {
	existing, err := readClassic(ctx, c.repo, tag)
	if err != nil || existing.digest == m.Digest() {
		return err
	}
	if m, err = c.joined(ctx, m, existing); err != nil {
		return err
	}
	if m.Digest() == existing.digest {
		return nil
	}
	return c.repo.Swap(ctx, m, []string{tag}, map[string]digest.Digest{tag: existing.named})
}

// joined adds the items of a copied manifest to those that are there.
func (c *copier) joined(ctx context.Context, m Manifest, existing *classicTag) (Manifest, error) {
	if existing.digest == "" {
		return m, nil
	}
	items, err := attest.Read(m.Raw)
	if err != nil {
		return Manifest{}, err
	}
	merged, err := attest.Merge(existing.items, items, func(attest.Item, attest.Item) (bool, error) { return false, nil })
	if err != nil {
		return Manifest{}, err
	}
	assembled, err := attest.Assemble(merged)
	if err != nil {
		return Manifest{}, err
	}
	if err := c.blobs(ctx, []Blob{BytesBlob(assembled.Config.MediaType, assembled.Config.Content)}); err != nil {
		return Manifest{}, err
	}
	m = Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: assembled.Raw}
	return m, c.manifest(ctx, m)
}
