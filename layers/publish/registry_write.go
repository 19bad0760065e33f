package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

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
	_, err := r.put(ctx, m.Digest().String(), m)
	return err
}

// put writes a manifest under a tag or its digest, and gives the header of the
// answer.
func (r *registryRepository) put(ctx context.Context, identifier string, m Manifest) (answer http.Header, err error) {
	client, err := r.uploading(ctx, nil)
	if err != nil {
		return nil, err
	}
	err = r.registry.again(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.url("manifests", identifier), nil)
		if err != nil {
			return err
		}
		err = withBody(req, int64(len(m.Raw)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.Raw)), nil })
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", m.MediaType)
		answer, err = send(client, req, http.StatusOK, http.StatusCreated, http.StatusAccepted)
		return err
	})
	if err != nil {
		return nil, registryError("write "+r.Reference(identifier), err)
	}
	return answer, nil
}

// Tag writes the manifest under each tag, in their order, one request each,
// and then reads all of them back.
func (r *registryRepository) Tag(ctx context.Context, m Manifest, tags []string) error {
	for _, tag := range tags {
		if !tagName.MatchString(tag) {
			return fmt.Errorf("%w: %q is not a tag", ErrUsage, tag)
		}
		if _, err := r.put(ctx, tag, m); err != nil {
			return err
		}
	}
	client, err := r.checking(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, tag := range tags {
		group.Go(func() error { return r.names(ctx, client, tag, m) })
	}
	return group.Wait()
}

// names makes sure that a tag names a manifest.
func (r *registryRepository) names(ctx context.Context, client *http.Client, tag string, m Manifest) error {
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
	if err := r.stillNamed(ctx, m, tags, was); err != nil {
		return err
	}
	return r.Tag(ctx, m, tags)
}

// swapOne is Swap of one tag, for whoever reads it back at the end.
func (r *registryRepository) swapOne(ctx context.Context, m Manifest, tag string, was digest.Digest) error {
	if err := r.stillNamed(ctx, m, []string{tag}, map[string]digest.Digest{tag: was}); err != nil {
		return err
	}
	_, err := r.put(ctx, tag, m)
	return err
}

// stillNamed makes sure that tags name what they did, or the manifest already.
func (r *registryRepository) stillNamed(ctx context.Context, m Manifest, tags []string, was map[string]digest.Digest) error {
	group, looking := errgroup.WithContext(ctx)
	for _, tag := range tags {
		group.Go(func() error {
			is, err := r.Resolve(looking, tag)
			if err != nil && !errors.Is(err, ErrNoTag) {
				return err
			}
			if is.Digest != was[tag] && is.Digest != m.Digest() {
				return fmt.Errorf("%w: %s", ErrChanged, r.Reference(tag))
			}
			return nil
		})
	}
	return group.Wait()
}
