package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

func (r *registryRepository) url(kind, identifier string) string {
	u := url.URL{
		Scheme: r.repo.Scheme(),
		Host:   r.repo.RegistryStr(),
		Path:   "/v2/" + r.repo.RepositoryStr() + "/" + kind + "/" + identifier,
	}
	return u.String()
}

// do sends a request that has no body; the status is one of ok, or the error
// says why not.
func (r *registryRepository) do(ctx context.Context, client *http.Client, method, url string, header http.Header, ok ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := transport.CheckError(resp, ok...); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// get reads a manifest by tag or digest.
func (r *registryRepository) get(ctx context.Context, client *http.Client, identifier string) (Manifest, error) {
	header := http.Header{"Accept": {ocispec.MediaTypeImageManifest + ", " + ocispec.MediaTypeImageIndex}}
	resp, err := r.do(ctx, client, http.MethodGet, r.url("manifests", identifier), header, http.StatusOK)
	if err != nil {
		return Manifest{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return Manifest{}, err
	}
	if len(raw) > maxManifest {
		return Manifest{}, fmt.Errorf("%w: %s: manifest of more than %d bytes", ErrUnreadable, r.Reference(identifier), maxManifest)
	}
	if want := digest.Digest(identifier); want.Validate() == nil && digest.FromBytes(raw) != want {
		return Manifest{}, fmt.Errorf("%w: the registry serves other bytes for %s", ErrCorrupt, r.Reference(identifier))
	}
	mediaType, err := manifestType(raw)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", r.Reference(identifier), err)
	}
	return Manifest{MediaType: mediaType, Raw: raw}, nil
}

func (r *registryRepository) Resolve(ctx context.Context, tag string) (ocispec.Descriptor, error) {
	client, err := r.reading(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	m, err := r.get(ctx, client, tag)
	if r.isMissing(err) {
		return ocispec.Descriptor{}, fmt.Errorf("%w: %s", ErrNoTag, r.Reference(tag))
	}
	if err != nil {
		return ocispec.Descriptor{}, registryError("read "+r.Reference(tag), err)
	}
	r.mu.Lock()
	r.seen[m.Digest()] = m
	r.mu.Unlock()
	return m.Descriptor(), nil
}

func (r *registryRepository) Manifest(ctx context.Context, d digest.Digest) (Manifest, error) {
	if _, err := Hex(d); err != nil {
		return Manifest{}, err
	}
	r.mu.Lock()
	m, ok := r.seen[d]
	r.mu.Unlock()
	if ok {
		return m, nil
	}
	client, err := r.reading(ctx)
	if err != nil {
		return Manifest{}, err
	}
	m, err = r.get(ctx, client, d.String())
	if r.isMissing(err) {
		return Manifest{}, fmt.Errorf("%w: %s", ErrNotFound, r.Reference(d.String()))
	}
	if err != nil {
		return Manifest{}, registryError("read "+r.Reference(d.String()), err)
	}
	return m, nil
}

func (r *registryRepository) Blob(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if _, err := Hex(d.Digest); err != nil {
		return nil, err
	}
	client, err := r.reading(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := r.do(ctx, client, http.MethodGet, r.url("blobs", d.Digest.String()), nil, http.StatusOK)
	if r.isMissing(err) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, r.Reference(d.Digest.String()))
	}
	if err != nil {
		return nil, registryError("read "+r.Reference(d.Digest.String()), err)
	}
	return verified(resp.Body, d), nil
}

// Has takes the registry's word; ReadBack does not.
func (r *registryRepository) Has(ctx context.Context, d ocispec.Descriptor) (bool, error) {
	if _, err := Hex(d.Digest); err != nil {
		return false, err
	}
	client, err := r.reading(ctx)
	if err != nil {
		return false, err
	}
	resp, err := r.do(ctx, client, http.MethodHead, r.url("blobs", d.Digest.String()), nil, http.StatusOK)
	if r.isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, registryError("look for a blob in "+r.Name(), err)
	}
	defer resp.Body.Close()
	return resp.ContentLength < 0 || resp.ContentLength == d.Size, nil
}

// ReadBack reads over connections of its own: manifests and small blobs
// whole, of others the first bytes and the size.
func (r *registryRepository) ReadBack(ctx context.Context, manifests []Manifest, blobs []Blob) error {
	if len(manifests)+len(blobs) == 0 {
		return nil
	}
	client, err := r.checking(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, m := range manifests {
		group.Go(func() error {
			if _, err := r.get(ctx, client, m.Digest().String()); err != nil {
				return fmt.Errorf("%w: manifest %s: %w", ErrReadBack, m.Digest(), err)
			}
			return nil
		})
	}
	for _, blob := range blobs {
		group.Go(func() error {
			if err := r.readBackBlob(ctx, client, blob); err != nil {
				return fmt.Errorf("%w: blob %s: %w", ErrReadBack, blob.Digest, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// sample is how much of a large blob is read back, in bytes.
const sample = 64 << 10

func (r *registryRepository) readBackBlob(ctx context.Context, client *http.Client, blob Blob) error {
	header := http.Header{}
	if blob.Size > sample {
		header.Set("Range", fmt.Sprintf("bytes=0-%d", sample-1))
	}
	resp, err := r.do(ctx, client, http.MethodGet, r.url("blobs", blob.Digest.String()), header, http.StatusOK, http.StatusPartialContent)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if size := servedSize(resp); size >= 0 && size != blob.Size {
		return fmt.Errorf("%d bytes, want %d", size, blob.Size)
	}
	if blob.Size <= sample {
		_, err := io.Copy(io.Discard, verified(resp.Body, blob.Descriptor))
		return err
	}
	mine, err := blob.Open(ctx)
	if err != nil {
		return err
	}
	defer mine.Close()
	want, got := make([]byte, sample), make([]byte, sample)
	if _, err := io.ReadFull(mine, want); err != nil {
		return err
	}
	if _, err := io.ReadFull(resp.Body, got); err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return ErrCorrupt
	}
	return nil
}

// servedSize is the size of the whole blob as the answer gives it, or -1.
func servedSize(resp *http.Response) int64 {
	if resp.StatusCode != http.StatusPartialContent {
		return resp.ContentLength
	}
	_, total, ok := strings.Cut(resp.Header.Get("Content-Range"), "/")
	if !ok {
		return -1
	}
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return -1
	}
	return size
}
