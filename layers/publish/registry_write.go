package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// PutBlob mounts a blob from a sibling repository, or uploads it.
func (r *registryRepository) PutBlob(ctx context.Context, blob Blob) error {
	var layer v1.Layer = blobLayer{ctx: ctx, blob: blob}
	from, err := r.mountable(blob)
	if err != nil {
		return err
	}
	if from != nil {
		layer = &remote.MountableLayer{Layer: layer, Reference: from.Digest(blob.Digest.String())}
	}
	if err := r.registry.pusher.Upload(ctx, r.repo, layer); err != nil {
		return registryError(fmt.Sprintf("upload blob %s", blob.Digest), err)
	}
	return nil
}

// mountable is the repository of the same registry that a blob can be mounted
// from; nil where none is known.
func (r *registryRepository) mountable(blob Blob) (*name.Repository, error) {
	switch {
	case blob.Sibling != "":
		sibling, err := r.registry.repository(blob.Sibling)
		return &sibling, err
	case blob.origin != nil && blob.origin.Registry == r.repo.Registry:
		return blob.origin, nil
	}
	return nil, nil
}

// PutManifest writes a manifest by the digest that was computed here.
func (r *registryRepository) PutManifest(ctx context.Context, m Manifest) error {
	ref := r.repo.Digest(m.Digest().String())
	if err := r.registry.pusher.Put(ctx, ref, taggable{m}); err != nil {
		return registryError("write "+ref.Name(), err)
	}
	return nil
}

// Tag writes the manifest under each tag, one request each, and reads the tag
// back.
func (r *registryRepository) Tag(ctx context.Context, m Manifest, tags []string) error {
	client, err := r.newClient(ctx, true, true)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := r.tag(ctx, client, m, tag); err != nil {
			return err
		}
	}
	return nil
}

func (r *registryRepository) tag(ctx context.Context, client *http.Client, m Manifest, tag string) error {
	if !tagName.MatchString(tag) {
		return fmt.Errorf("%w: %q is not a tag", ErrUsage, tag)
	}
	if err := r.registry.pusher.Put(ctx, r.repo.Tag(tag), taggable{m}); err != nil {
		return registryError("tag "+r.Reference(tag), err)
	}
	got, err := r.get(ctx, client, tag)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadBack, registryError("read "+r.Reference(tag), err))
	}
	if got.Digest() != m.Digest() {
		return fmt.Errorf("%w: %w: %s names %s, not %s: did another push run at the same time?",
			ErrReadBack, ErrChanged, r.Reference(tag), got.Digest(), m.Digest())
	}
	return nil
}

// Swap looks right before it writes.
func (r *registryRepository) Swap(ctx context.Context, m Manifest, tags []string, was map[string]digest.Digest) error {
	for _, tag := range tags {
		is, err := r.Resolve(ctx, tag)
		if err != nil && !errors.Is(err, ErrNoTag) {
			return err
		}
		if is.Digest != was[tag] && is.Digest != m.Digest() {
			return fmt.Errorf("%w: %s", ErrChanged, r.Reference(tag))
		}
	}
	return r.Tag(ctx, m, tags)
}

// taggable shows a manifest to go-containerregistry.
type taggable struct{ m Manifest }

func (t taggable) RawManifest() ([]byte, error)        { return t.m.Raw, nil }
func (t taggable) MediaType() (types.MediaType, error) { return types.MediaType(t.m.MediaType), nil }

// blobLayer shows a blob to go-containerregistry. What it uploads is hashed
// on the way.
type blobLayer struct {
	ctx  context.Context
	blob Blob
}

func (l blobLayer) Digest() (v1.Hash, error) { return v1.NewHash(l.blob.Digest.String()) }
func (l blobLayer) DiffID() (v1.Hash, error) { return l.Digest() }
func (l blobLayer) Size() (int64, error)     { return l.blob.Size, nil }
func (l blobLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.blob.MediaType), nil
}
func (l blobLayer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

func (l blobLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.blob.Open(l.ctx)
	if err != nil {
		return nil, err
	}
	return verified(rc, l.blob.Descriptor), nil
}
