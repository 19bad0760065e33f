package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// PutBlob mounts a blob from a sibling repository, or uploads it in the two
// requests that every registry takes:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#post-then-put.
func (r *registryRepository) PutBlob(ctx context.Context, blob Blob) error {
	if _, err := Hex(blob.Digest); err != nil {
		return err
	}
	from, err := r.mountable(blob)
	if err != nil {
		return err
	}
	client, err := r.uploading(ctx, from)
	if err != nil {
		return err
	}
	if err := r.registry.again(ctx, func() error { return r.upload(ctx, client, blob, from) }); err != nil {
		return registryError(fmt.Sprintf("upload blob %s", blob.Digest), err)
	}
	return nil
}

// upload is one try.
func (r *registryRepository) upload(ctx context.Context, client *http.Client, blob Blob, from *name.Repository) error {
	location, err := r.begin(ctx, client, blob, from)
	if err != nil || location == nil {
		return err
	}
	query := location.Query()
	query.Set("digest", blob.Digest.String())
	location.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, location.String(), nil)
	if err != nil {
		return err
	}
	err = withBody(req, blob.Size, func() (io.ReadCloser, error) {
		content, err := blob.Open(ctx)
		if err == nil && blob.content == nil {
			content = verified(content, blob.Descriptor)
		}
		return content, err
	})
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	_, err = send(client, req, http.StatusCreated, http.StatusNoContent)
	return err
}

// begin starts an upload and gives the address to send the blob to: nil where
// it was mounted.
func (r *registryRepository) begin(ctx context.Context, client *http.Client, blob Blob, from *name.Repository) (*url.URL, error) {
	address := r.url("blobs", "uploads/")
	if from != nil {
		query := url.Values{"mount": {blob.Digest.String()}, "from": {from.RepositoryStr()}}
		resp, err := r.do(ctx, client, http.MethodPost, address+"?"+query.Encode(), nil, http.StatusCreated, http.StatusAccepted)
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode == http.StatusCreated {
				return nil, nil
			}
			return uploadTo(resp)
		}
		if ctx.Err() != nil {
			return nil, err
		}
		// Some registries refuse where others begin an upload.
	}
	resp, err := r.do(ctx, client, http.MethodPost, address, nil, http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return uploadTo(resp)
}

// uploadTo is where a registry wants to be sent what comes next.
func uploadTo(resp *http.Response) (*url.URL, error) {
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, errors.New("the registry began an upload and does not say where: no Location")
	}
	u, err := resp.Request.URL.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("the registry began an upload at %q: %w", location, err)
	}
	return u, notInside(resp.Request.URL, u)
}

// notInside refuses another host by an address that only this machine or its
// network knows: a registry has no business there, and we would be its hands.
func notInside(from, to *url.URL) error {
	if to.Hostname() == from.Hostname() {
		return nil
	}
	ip, err := netip.ParseAddr(to.Hostname())
	if err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()) {
		return fmt.Errorf("%w: %s sends us to %s, an address of the inner network", ErrPermission, from.Host, to.Host)
	}
	return nil
}

// redirects holds a client to notInside.
func redirects(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return notInside(via[0].URL, req.URL)
}

// send sends a request whose answer is one of ok, or the error says why not;
// it gives the answer's header.
func send(client *http.Client, req *http.Request, ok ...int) (http.Header, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return resp.Header, transport.CheckError(resp, ok...)
}

// uploading returns the client that writes, made on first use: one for each
// repository that blobs are mounted from, which has to be readable too.
func (r *registryRepository) uploading(ctx context.Context, from *name.Repository) (*http.Client, error) {
	scopes, key := []string{r.repo.Scope(transport.PushScope)}, ""
	if from != nil && from.Name() != r.repo.Name() {
		key = from.Name()
		scopes = append(scopes, from.Scope(transport.PullScope))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if client := r.writers[key]; client != nil {
		return client, nil
	}
	client, err := r.newClient(ctx, r.registry.base, scopes)
	if err != nil {
		return nil, err
	}
	client.CheckRedirect = redirects
	if r.writers == nil {
		r.writers = map[string]*http.Client{}
	}
	r.writers[key] = client
	return client, nil
}
