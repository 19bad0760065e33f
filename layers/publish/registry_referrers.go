package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Referrers asks the registry's API, else reads the fallback tag.
func (r *registryRepository) Referrers(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, error) {
	client, err := r.reading(ctx)
	if err != nil {
		return nil, err
	}
	return r.referrers(ctx, client, subject)
}

// maxPages is how many answers of the referrers API are read.
const maxPages = 100

func (r *registryRepository) referrers(ctx context.Context, client *http.Client, subject digest.Digest) ([]ocispec.Descriptor, error) {
	if _, err := Hex(subject); err != nil {
		return nil, err
	}
	if r.usesFallbacks() {
		listed, _, err := r.fallback(ctx, client, subject)
		if err != nil {
			return nil, registryError("list the referrers of "+r.Reference(subject.String()), err)
		}
		return sortedReferrers(byDigest(listed)), nil
	}
	found := map[digest.Digest]ocispec.Descriptor{}
	address := r.url("referrers", subject.String())
	for page := 0; address != ""; page++ {
		listed, next, err := r.referrersPage(ctx, client, address)
		if page == 0 {
			r.mu.Lock()
			r.without, r.asked = errors.Is(err, errNoReferrers), true
			r.mu.Unlock()
		}
		if page == 0 && errors.Is(err, errNoReferrers) {
			listed, next, err = r.fallback(ctx, client, subject)
			r.mu.Lock()
			r.fallbacks = r.fallbacks || len(listed) > 0
			r.mu.Unlock()
		}
		if err == nil && (page == maxPages || len(found) > maxReferrers) {
			err = fmt.Errorf("%w: more than %d", ErrUnreadable, maxReferrers)
		}
		if err != nil {
			return nil, registryError("list the referrers of "+r.Reference(subject.String()), err)
		}
		maps.Copy(found, byDigest(listed))
		address = next
	}
	return sortedReferrers(found), nil
}

func (r *registryRepository) usesFallbacks() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fallbacks
}

func byDigest(listed []ocispec.Descriptor) map[digest.Digest]ocispec.Descriptor {
	found := make(map[digest.Digest]ocispec.Descriptor, len(listed))
	for _, d := range listed {
		found[d.Digest] = d
	}
	return found
}

// errNoReferrers is a registry without a referrers API.
var errNoReferrers = errors.New("no referrers API")

// referrersPage reads one answer of the API and the address of the next.
func (r *registryRepository) referrersPage(ctx context.Context, client *http.Client, address string) (_ []ocispec.Descriptor, next string, err error) {
	header := http.Header{"Accept": {ocispec.MediaTypeImageIndex}}
	resp, err := r.do(ctx, client, http.MethodGet, address, header, http.StatusOK)
	var status *transport.Error
	if errors.As(err, &status) && slices.Contains(withoutAPI(), status.StatusCode) || r.isMissing(err) {
		return nil, "", errNoReferrers
	}
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	// Some answer every path with a page of their own.
	if mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); mediaType != ocispec.MediaTypeImageIndex {
		return nil, "", errNoReferrers
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return nil, "", err
	}
	if len(raw) > maxManifest {
		return nil, "", fmt.Errorf("%w: an answer of more than %d bytes", ErrUnreadable, maxManifest)
	}
	listed, err := readReferrers(raw, address)
	if err != nil {
		return nil, "", err
	}
	next, err = nextPage(resp)
	return listed, next, err
}

// withoutAPI are the answers of registries that have no referrers API.
func withoutAPI() []int {
	return []int{http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented}
}

// nextPage reads the Link header (RFC 8288); it may lead only to the same
// registry.
func nextPage(resp *http.Response) (string, error) {
	for _, link := range resp.Header.Values("Link") {
		target, params, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
		if !ok || !strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
			continue
		}
		u, err := url.Parse(target)
		if err != nil {
			return "", fmt.Errorf("next page: %w", err)
		}
		u = resp.Request.URL.ResolveReference(u)
		if u.Host != resp.Request.URL.Host || u.Scheme != resp.Request.URL.Scheme {
			return "", fmt.Errorf("next page: %s is another host", u.Host)
		}
		return u.String(), nil
	}
	return "", nil
}

// fallback reads the fallback tag; one that is missing lists nothing.
func (r *registryRepository) fallback(ctx context.Context, client *http.Client, subject digest.Digest) ([]ocispec.Descriptor, string, error) {
	m, err := r.get(ctx, client, FallbackTag(subject))
	if r.isMissing(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	listed, err := readReferrers(m.Raw, r.Reference(FallbackTag(subject)))
	return listed, "", err
}

// putTries is how often a referrer is written that is not listed: because
// another writer of the fallback tag took it away, or because the registry
// lists it with a delay.
const putTries = 5

// PutReferrers writes the manifests, and the fallback tag where the registry
// has no API. The list is then read over a connection of its own.
func (r *registryRepository) PutReferrers(ctx context.Context, ms ...Manifest) ([]Manifest, error) {
	subject, err := oneSubject(ms)
	if err != nil {
		return nil, err
	}
	there, err := r.Referrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	written, err := r.unlisted(ctx, ms, there)
	if err != nil || len(written) == 0 {
		return nil, err
	}
	return written, r.putListed(ctx, subject, written)
}

// putListed writes referrers until all of them are listed.
func (r *registryRepository) putListed(ctx context.Context, subject digest.Digest, missing []Manifest) error {
	client, err := r.checking(ctx)
	if err != nil {
		return err
	}
	for try := range putTries {
		if err := r.putAll(ctx, subject, missing); err != nil {
			return err
		}
		there, err := r.referrers(ctx, client, subject)
		if err != nil {
			return err
		}
		missing = slices.DeleteFunc(slices.Clone(missing), func(m Manifest) bool { return lists(there, m.Digest()) })
		if len(missing) == 0 {
			return nil
		}
		if err := r.registry.pause(ctx, try+1); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %s is not listed as a referrer of %s: does another push write to %s at the same time?",
		ErrReadBack, missing[0].Digest(), subject, r.Name())
}

// unlisted are those that are not both listed and there.
func (r *registryRepository) unlisted(ctx context.Context, ms []Manifest, listed []ocispec.Descriptor) ([]Manifest, error) {
	var missing []Manifest
	for _, m := range ms {
		if lists(listed, m.Digest()) {
			_, err := r.Manifest(ctx, m.Digest())
			if err == nil {
				continue
			}
			if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
				return nil, err
			}
		}
		missing = append(missing, m)
	}
	return missing, nil
}

// putAll writes referrers, and names them under the fallback tag unless the
// registry says that it lists them, or listed others before.
func (r *registryRepository) putAll(ctx context.Context, subject digest.Digest, ms []Manifest) error {
	var silent atomic.Bool
	group, writing := errgroup.WithContext(ctx)
	for _, m := range ms {
		group.Go(func() error {
			answered, err := r.put(writing, m.Digest().String(), m)
			if answered.Get("OCI-Subject") == "" {
				silent.Store(true)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if !silent.Load() {
		return nil
	}
	without, err := r.withoutReferrers(ctx, subject)
	if err != nil || !without {
		return err
	}
	return r.addToFallback(ctx, subject, ms)
}

// withoutReferrers says whether the registry has no referrers API, and asks it
// where it was not asked yet, for a manifest that is there: it has to answer
// with a list, if an empty one, where it has one.
func (r *registryRepository) withoutReferrers(ctx context.Context, subject digest.Digest) (bool, error) {
	r.mu.Lock()
	without, asked := r.without, r.asked
	r.mu.Unlock()
	if asked {
		return without, nil
	}
	if without = r.registry.noReferrers.Load(); !without {
		client, err := r.reading(ctx)
		if err != nil {
			return false, err
		}
		_, _, err = r.referrersPage(ctx, client, r.url("referrers", subject.String()))
		without = errors.Is(err, errNoReferrers)
		if err != nil && !without {
			return false, registryError("list the referrers of "+r.Reference(subject.String()), err)
		}
		r.registry.noReferrers.Store(without)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.without, r.asked = without, true
	return without, nil
}

// addToFallback names referrers under the fallback tag, beside what it names.
func (r *registryRepository) addToFallback(ctx context.Context, subject digest.Digest, ms []Manifest) error {
	client, err := r.reading(ctx)
	if err != nil {
		return err
	}
	tag := FallbackTag(subject)
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	switch there, err := r.get(ctx, client, tag); {
	case r.isMissing(err):
	case err != nil:
		return registryError("list the referrers of "+r.Reference(subject.String()), err)
	default:
		if _, err := readReferrers(there.Raw, r.Reference(tag)); err != nil {
			return err
		}
		if err := json.Unmarshal(there.Raw, &index); err != nil {
			return fmt.Errorf("%s: %w", r.Reference(tag), err)
		}
	}
	for _, m := range ms {
		d, err := referrerDescriptor(m)
		if err != nil {
			return err
		}
		if !lists(index.Manifests, d.Digest) {
			index.Manifests = append(index.Manifests, d)
		}
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	_, err = r.put(ctx, tag, Manifest{MediaType: ocispec.MediaTypeImageIndex, Raw: raw})
	var status *transport.Error
	if errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		// It does not have what it took a moment ago.
		return fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.fallbacks = true
	r.mu.Unlock()
	return nil
}
