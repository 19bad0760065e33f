package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// CopyOptions says what is copied, and how. The zero value copies all of an
// image.
type CopyOptions struct {
	// Platform, where it is set, is the only one that is copied of an index:
	// the tag then names its manifest, as tools want it that take one image.
	Platform recipes.Platform
	// Jobs bounds the blobs in flight; zero means DefaultJobs.
	Jobs     int
	Progress progress.Sink
}

// Copy brings an image with all its platforms, signatures, attestations and
// other referrers from one destination to another, under the same image name
// and tag. Bytes and digests stay, only what is missing is written, and within
// one registry blobs are mounted; the tag comes last, when all before it was
// read back. Unsigned statements go along between layouts only. What others
// have said there of the same image is kept.
func Copy(ctx context.Context, from Reference, dest Destination, o CopyOptions) (Result, error) {
	result, err := copyImage(ctx, from, dest, o)
	if err != nil {
		return Result{}, fmt.Errorf("copy %s to %s: %w", from, dest, err)
	}
	return result, nil
}

func copyImage(ctx context.Context, from Reference, dest Destination, o CopyOptions) (Result, error) {
	if from.Tag == "" {
		return Result{}, fmt.Errorf("%w: a copy needs a tag: NAME:TAG@sha256:…", ErrUsage)
	}
	repo, err := writable(dest, from.Image)
	if err != nil {
		return Result{}, err
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs
	}
	if o.Progress == nil {
		o.Progress = progress.Discard{}
	}
	top, err := from.Manifest(ctx)
	if err == nil && o.Platform != "" {
		top, err = ofPlatform(ctx, from.Repository, top, o.Platform)
	}
	if err != nil {
		return Result{}, err
	}
	c := copier{
		from: from.Repository,
		publication: publication{
			repo:    repo,
			release: Release{Name: from.Image},
			options: Options{Jobs: o.Jobs, Progress: o.Progress},
			result:  Result{Name: from.Image, Reference: repo.Reference(from.Tag), Digest: top.Digest(), Tags: []string{from.Tag}},
		},
	}
	if r, ok := c.from.(*registryRepository); ok {
		c.origin = &r.repo
	}
	_, c.layout = repo.(*layoutRepository)
	return c.run(ctx, top, from.Tag)
}

// ofPlatform is the manifest of one platform.
func ofPlatform(ctx context.Context, repo Repository, top Manifest, platform recipes.Platform) (Manifest, error) {
	found, err := platformsOf(ctx, repo, top.Descriptor())
	if err != nil {
		return Manifest{}, err
	}
	d, ok := found[platform]
	if !ok {
		return Manifest{}, fmt.Errorf("%w: it is for %s, not for %s", ErrNoTag, found, platform)
	}
	return repo.Manifest(ctx, d.Digest)
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
	// origin is the repository that blobs can be mounted from, where the
	// source is a registry.
	origin *name.Repository
	layout bool // the destination is a layout
}

func (c *copier) run(ctx context.Context, top Manifest, tag string) (Result, error) {
	if err := c.compare(ctx, top, tag); err != nil {
		return Result{}, err
	}
	if err := c.tree(ctx, top); err != nil {
		return Result{}, err
	}
	if err := c.repo.ReadBack(ctx, c.written.manifests, c.written.blobs); err != nil {
		return Result{}, err
	}
	if len(c.result.Moved) > 0 {
		if err := c.repo.Swap(ctx, top, c.result.Moved, c.current); err != nil {
			return Result{}, err
		}
	}
	return c.result, nil
}

// compare finds out whether the tag moves. A copy takes no platforms away,
// as a push does not.
func (c *copier) compare(ctx context.Context, top Manifest, tag string) error {
	d, err := c.repo.Resolve(ctx, tag)
	if err != nil && !errors.Is(err, ErrNoTag) {
		return err
	}
	c.current = map[string]digest.Digest{}
	if err == nil {
		c.current[tag] = d.Digest
	}
	if d.Digest == top.Digest() {
		return nil
	}
	c.result.Moved = []string{tag}
	if err != nil {
		return nil
	}
	there, err := platformsOf(ctx, c.repo, d)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnreadable) {
		return nil // a broken image is replaced
	}
	if err != nil {
		return err
	}
	ours, err := platformsOf(ctx, c.from, top.Descriptor())
	if err != nil {
		return err
	}
	for platform := range there {
		if _, ok := ours[platform]; !ok {
			return fmt.Errorf("%w: %s holds %s, and this is for %s: copy it elsewhere", ErrPlatforms, c.repo.Reference(tag), there, ours)
		}
	}
	return nil
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
	if err := c.statements(ctx, subject); err != nil {
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
			origin:     c.origin,
		})
	}
	return c.blobs(ctx, blobs)
}
