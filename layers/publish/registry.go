package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

// RegistryOptions says how registries are reached. The zero value is right
// for a user's machine.
type RegistryOptions struct {
	// Keychain finds credentials; nil means Keychain().
	Keychain authn.Keychain
	// Transport carries requests; nil means go-containerregistry's.
	Transport http.RoundTripper
	// RealmHosts are further hosts, as HOST or HOST:PORT, that a registry may
	// name as its token server.
	RealmHosts []string
	// Backoff is the wait between tries; nil means 1 s and 3 s.
	Backoff *remote.Backoff
	// UserAgent is our name; empty means shudl-assemble.
	UserAgent string
}

func (o RegistryOptions) userAgent() string {
	if o.UserAgent == "" {
		return "shudl-assemble"
	}
	return o.UserAgent
}

func (o RegistryOptions) keychain() authn.Keychain {
	if o.Keychain == nil {
		return Keychain()
	}
	return o.Keychain
}

// Registry is a registry and a path in it, below which images lie.
type Registry struct {
	registry name.Registry
	path     string
	options  RegistryOptions
	greeting *greeting
	slots    chan struct{} // one for each request in flight
	base     http.RoundTripper
	fresh    http.RoundTripper // has connections of its own
	// noReferrers says that it had no referrers API for a manifest that had
	// just been written: its other repositories have none either.
	noReferrers atomic.Bool
}

// inFlight is how many requests one registry gets at a time.
const inFlight = 16

// NewRegistry names a registry path such as ghcr.io/org/repo. Nothing is
// asked of it yet.
func NewRegistry(prefix string, o RegistryOptions) (*Registry, error) {
	registry, path, err := parsePrefix(prefix)
	if err != nil {
		return nil, err
	}
	r := &Registry{registry: registry, path: path, options: o, greeting: newGreeting(), slots: make(chan struct{}, inFlight)}
	r.base, r.fresh = r.below(false), r.below(true)
	return r, nil
}

func (r *Registry) String() string {
	if r.path == "" {
		return r.registry.Name()
	}
	return r.registry.Name() + "/" + r.path
}

// Local says whether the registry is on this machine.
func (r *Registry) Local() bool { return Loopback(r.registry.RegistryStr()) }

// Check starts, and cancels, an upload to each image's repository.
func (r *Registry) Check(ctx context.Context, images []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, image := range images {
		repo, err := r.repository(image)
		if err != nil {
			return err
		}
		group.Go(func() error {
			t := r.retrying(bound{ctx, r.base})
			err := remote.CheckPushPermission(repo.Tag("latest"), r.options.keychain(), t)
			if err != nil {
				return registryError("permission to push "+repo.Name(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (r *Registry) repository(image string) (name.Repository, error) {
	if err := checkImageName(image); err != nil {
		return name.Repository{}, err
	}
	repo, err := name.NewRepository(r.String()+"/"+image, name.StrictValidation)
	if err != nil {
		return name.Repository{}, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return repo, nil
}

// Repository is the place of one image.
func (r *Registry) Repository(image string) (Repository, error) {
	repo, err := r.repository(image)
	if err != nil {
		return nil, err
	}
	return &registryRepository{registry: r, repo: repo, seen: map[digest.Digest]Manifest{}}, nil
}

// registryError tells refused credentials from other failures.
func registryError(doing string, err error) error {
	var status *transport.Error
	if errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%w: %s: %w", ErrPermission, doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// registryRepository is one repository of a registry.
type registryRepository struct {
	registry *Registry
	repo     name.Repository

	mu      sync.Mutex
	client  *http.Client
	fresh   *http.Client            // has connections of its own
	writers map[string]*http.Client // by the repository that they mount from
	seen    map[digest.Digest]Manifest
	// writes asks for the right to push even where it reads: some registries
	// refuse to say with less that a repository is not there yet.
	writes bool
	// without says that the registry had no referrers API when it was asked
	// last, and asked that it was.
	without, asked bool
	// fallbacks says that it also had a fallback tag, and so no API for what is
	// there: it is not asked again for one.
	fallbacks bool
}

// toWrite says that the repository is about to be written to.
func (r *registryRepository) toWrite() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes, r.client = true, nil
}

// isMissing says whether an answer means that something is not there. Some
// registries answer 403 for what does not exist; where that hides something
// from us that does, reading it back fails before a tag moves.
func (r *registryRepository) isMissing(err error) bool {
	var status *transport.Error
	if !errors.As(err, &status) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return status.StatusCode == http.StatusNotFound || r.writes && status.StatusCode == http.StatusForbidden
}

func (r *registryRepository) Name() string { return r.repo.Name() }

func (r *registryRepository) Reference(identifier string) string {
	if digest.Digest(identifier).Validate() == nil {
		return r.repo.Name() + "@" + identifier
	}
	return r.repo.Name() + ":" + identifier
}

// reading returns the client that reads, made on first use.
func (r *registryRepository) reading(ctx context.Context) (*http.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil {
		return r.client, nil
	}
	scope := transport.PullScope
	if r.writes {
		scope = transport.PushScope
	}
	client, err := r.newClient(ctx, r.registry.base, []string{r.repo.Scope(scope)})
	if err == nil {
		r.client = client
	}
	return client, err
}

// checking returns the client that reads back, made on first use.
func (r *registryRepository) checking(ctx context.Context) (*http.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh != nil {
		return r.fresh, nil
	}
	client, err := r.newClient(ctx, r.registry.fresh, []string{r.repo.Scope(transport.PushScope)})
	if err == nil {
		r.fresh = client
	}
	return client, err
}

// afresh is the repository as it is read over the connections that read back.
func (r *registryRepository) afresh(ctx context.Context) (Repository, error) {
	client, err := r.checking(ctx)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &registryRepository{
		registry: r.registry, repo: r.repo, client: client, fresh: client, seen: map[digest.Digest]Manifest{},
		writes: r.writes, without: r.without, asked: r.asked, fallbacks: r.fallbacks,
	}, nil
}

func (r *registryRepository) newClient(ctx context.Context, base http.RoundTripper, scopes []string) (*http.Client, error) {
	auth, err := authn.Resolve(ctx, r.registry.options.keychain(), r.repo)
	if err != nil {
		return nil, fmt.Errorf("credentials for %s: %w", r.repo, err)
	}
	t, err := transport.NewWithContext(ctx, r.repo.Registry, auth, r.registry.retrying(base), scopes)
	if err != nil {
		return nil, registryError("reach "+r.repo.Name(), err)
	}
	return &http.Client{Transport: t}, nil
}
