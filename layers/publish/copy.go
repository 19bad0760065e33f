package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// Copy brings an image with all its platforms, signatures and attestations
// from one destination to another, under the same image name and tag. Bytes
// and digests stay; the tag comes last, as when publishing.
func Copy(ctx context.Context, from Reference, dest Destination, o Options) (Result, error) {
	result, err := copyImage(ctx, from, dest, o)
	if err != nil {
		return Result{}, fmt.Errorf("copy %s to %s: %w", from, dest, err)
	}
	return result, nil
}

func copyImage(ctx context.Context, from Reference, dest Destination, o Options) (Result, error) {
	if from.Tag == "" {
		return Result{}, fmt.Errorf("%w: a copy needs a tag: NAME:TAG@sha256:…", ErrUsage)
	}
	image := from.Image
	repo, err := writable(dest, image)
	if err != nil {
		return Result{}, err
	}
	if o.Jobs <= 0 {
		o.Jobs = 4
	}
	if o.Progress == nil {
		o.Progress = progress.Discard{}
	}
	top, err := from.Manifest(ctx)
	if err != nil {
		return Result{}, err
	}
	c := copier{
		from: from.Repository,
		publication: publication{
			repo:    repo,
			release: Release{Name: image},
			options: o,
			result: Result{
				Name: image, Reference: repo.Reference(from.Tag), Digest: top.Digest(),
				Tags: []string{from.Tag}, Moved: []string{from.Tag},
			},
		},
	}
	return c.run(ctx, top, from.Tag)
}

// Manifest reads the manifest that a reference names.
func (r Reference) Manifest(ctx context.Context) (Manifest, error) {
	d := r.Digest
	if d == "" {
		resolved, err := r.Repository.Resolve(ctx, r.Tag)
		if err != nil {
			return Manifest{}, err
		}
		d = resolved.Digest
	}
	m, err := r.Repository.Manifest(ctx, d)
	if errors.Is(err, ErrNotFound) && r.Digest != "" {
		return Manifest{}, fmt.Errorf("%w: %w", ErrNoTag, err)
	}
	return m, err
}

type copier struct {
	publication
	from Repository
}

func (c *copier) run(ctx context.Context, top Manifest, tag string) (Result, error) {
	if err := c.tree(ctx, top); err != nil {
		return Result{}, err
	}
	if err := c.repo.ReadBack(ctx, c.written.manifests, c.written.blobs); err != nil {
		return Result{}, err
	}
	if d, err := c.repo.Resolve(ctx, tag); err == nil && d.Digest == top.Digest() {
		c.result.Moved = nil
		return c.result, nil
	} else if err != nil && !errors.Is(err, ErrNoTag) {
		return Result{}, err
	}
	return c.result, c.repo.Tag(ctx, top, []string{tag})
}

// tree copies a manifest, first what it names, then itself, then what is said
// of it.
func (c *copier) tree(ctx context.Context, m Manifest) error {
	if m.MediaType == ocispec.MediaTypeImageIndex {
		var index ocispec.Index
		if err := json.Unmarshal(m.Raw, &index); err != nil {
			return fmt.Errorf("index %s: %w", m.Digest(), err)
		}
		for _, d := range index.Manifests {
			child, err := c.from.Manifest(ctx, d.Digest)
			if err != nil {
				return err
			}
			if child.MediaType == ocispec.MediaTypeImageIndex {
				return fmt.Errorf("index %s holds another index", m.Digest())
			}
			if err := c.tree(ctx, child); err != nil {
				return err
			}
		}
		if err := c.manifest(ctx, m); err != nil {
			return err
		}
	} else if err := c.one(ctx, m); err != nil {
		return err
	}
	subject, err := Hex(m.Digest())
	if err != nil {
		return err
	}
	for _, tag := range []string{attest.AttestationTag(subject), attest.SignatureTag(subject)} {
		if err := c.said(ctx, tag); err != nil {
			return err
		}
	}
	return c.referrers(ctx, m)
}

// one copies an image manifest with its blobs.
func (c *copier) one(ctx context.Context, m Manifest) error {
	if err := c.contents(ctx, m); err != nil {
		return err
	}
	return c.manifest(ctx, m)
}

// contents copies the blobs of an image manifest.
func (c *copier) contents(ctx context.Context, m Manifest) error {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Digest(), err)
	}
	blobs := make([]Blob, 0, len(manifest.Layers)+1)
	for _, d := range append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...) {
		if _, err := Hex(d.Digest); err != nil {
			return err
		}
		// Only the digest says where a blob is: urls are not followed.
		d = ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		blobs = append(blobs, Blob{
			Descriptor: d,
			Open:       func(ctx context.Context) (io.ReadCloser, error) { return c.from.Blob(ctx, d) },
		})
	}
	return c.blobs(ctx, blobs)
}

// referrers copies what refers to a manifest: sigstore bundles, and whatever
// else others have said of it.
func (c *copier) referrers(ctx context.Context, subject Manifest) error {
	listed, err := c.from.Referrers(ctx, subject.Digest())
	if err != nil {
		return err
	}
	for _, d := range listed {
		m, err := c.from.Manifest(ctx, d.Digest)
		if errors.Is(err, ErrUnreadable) || err == nil && m.MediaType != ocispec.MediaTypeImageManifest {
			continue // of a form that no tool here could use
		}
		if err != nil {
			return err
		}
		if of, err := referrerSubject(m); err != nil || of != subject.Digest() {
			continue // listed here by mistake
		}
		if err := c.contents(ctx, m); err != nil {
			return err
		}
		if err := c.referrer(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// said copies the manifest under one of cosign's tags. Where the destination
// has another there, both are kept.
func (c *copier) said(ctx context.Context, tag string) error {
	d, err := c.from.Resolve(ctx, tag)
	if errors.Is(err, ErrNoTag) {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := c.from.Manifest(ctx, d.Digest)
	if err != nil {
		return err
	}
	if err := c.one(ctx, m); err != nil {
		return err
	}
	existing, err := readClassic(ctx, c.repo, tag)
	if err != nil || existing.digest == d.Digest {
		return err
	}
	if m, err = c.joined(ctx, m, existing); err != nil {
		return err
	}
	if m.Digest() == existing.digest {
		return nil
	}
	return c.repo.Tag(ctx, m, []string{tag})
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
