package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// The names of the archives that mirrors are known for.
const (
	Alpine         = "alpine"
	Debian         = "debian"
	DebianSecurity = "debian-security"
	Maven          = "maven"
	PyPI           = "pypi" // the simple index, and the files below their projects
	Go             = "go"
)

// defaultJobs is how many downloads run at once where nothing is said.
const defaultJobs = 8

// defaultMaxSize ends a download whose size nobody knows: 512 MiB.
const defaultMaxSize = 512 << 20

// Mirrors are the base addresses of each archive (http, https, file), in the
// order in which they are asked.
type Mirrors map[string][]string

// Locator finds the address of an artefact that does not lie at its path
// below the mirror, as the files of a Python index do.
type Locator func(ctx context.Context, f *Fetcher, a recipes.Artifact) (address string, err error)

// Fetcher brings files into its store. Its fields must not change after the
// first use; its methods may be called from any number of goroutines.
type Fetcher struct {
	Store   *Store
	Mirrors Mirrors
	// GoProxies, where set, gives more mirrors of Go modules when one is needed.
	GoProxies func() []string
	// Bundle, where set, is asked before any mirror.
	Bundle *Bundle
	// Beside, where set, is another store whose files are taken before any
	// mirror is asked, hashed on the way.
	Beside *Store
	// Offline asks the store, the bundle and file: mirrors only.
	Offline bool
	// Jobs is how many downloads run at once; 0 is 8.
	Jobs int
	// Progress receives each download; nil shows nothing.
	Progress progress.Sink
	// Pause is the wait before a mirror is asked again after a passing fault,
	// doubled each time; 0 is half a second.
	Pause time.Duration
	// Client is the HTTP client; nil is NewClient's.
	Client *http.Client
	// Image is what the files are for, in errors.
	Image string
	// Locators, by archive, take the place of the path below the mirror.
	Locators map[string]Locator
	// Early, where set, reads artefacts while they are downloaded.
	Early Early

	once   sync.Once
	shared *shared
}

// shared is what the fetchers of several images have in common.
type shared struct {
	slots  chan struct{}
	client *http.Client
	logins logins
	hosts  hosts
}

// Request asks for one file: at Path below the mirrors of Archive, or at URL.
type Request struct {
	Archive string
	Path    string
	URL     string
	// SHA256, where it is known, makes the store's copy do, and lets a
	// download go on where another mirror or an earlier run was cut.
	SHA256 recipes.Digest
	// Size is exact where it is not zero.
	Size int64
	// MaxSize ends a download of unknown size; 0 is 512 MiB.
	MaxSize int64
	// Accept is the media type that is asked for.
	Accept string
	// Check looks at the whole file before it counts. Where it fails, the
	// next mirror is asked: a mirror may hold another archive, or an old one.
	Check func(content io.ReadSeeker) error

	early func(ctx context.Context, content io.Reader) (keep func() error)
}

// Result is a file that is now in the store.
type Result struct {
	SHA256 recipes.Digest
	Size   int64
	// Mirror is the base address that gave it, without credentials; empty
	// where the store or the bundle had it.
	Mirror string
	// URL is where it was read at last, after redirects, without credentials.
	URL string
}

// For is the same fetcher for another image: they share their limits.
func (f *Fetcher) For(image string) *Fetcher {
	f.init()
	return &Fetcher{Store: f.Store, Mirrors: f.Mirrors, GoProxies: f.GoProxies, Bundle: f.Bundle, Beside: f.Beside, Offline: f.Offline, Jobs: f.Jobs,
		Progress: f.Progress, Pause: f.Pause, Client: f.Client, Image: image, Locators: f.Locators, Early: f.Early, shared: f.shared}
}

// Artifact brings one locked artefact into the store, if it is not there.
func (f *Fetcher) Artifact(ctx context.Context, a recipes.Artifact) error {
	if !valid(a.SHA256) {
		return fmt.Errorf("%s %s: the lock has no sha256 for it: run `shudl-assemble lock --refresh`", a.Name, a.Version)
	}
	r := Request{Archive: a.Archive, Path: a.Path, URL: a.URL, SHA256: a.SHA256, Size: a.Size}
	if found, err := f.have(ctx, r); found || err != nil {
		return err
	}
	if locate := f.Locators[a.Archive]; locate != nil && a.URL == "" && !f.Offline {
		address, err := locate(ctx, f, a)
		if err != nil {
			return err
		}
		r.URL = address
	}
	if f.Early != nil {
		r.early = func(ctx context.Context, content io.Reader) func() error { return f.Early(ctx, a, content) }
	}
	_, err := f.Get(ctx, r)
	return err
}

// Artifacts brings artefacts into the store, several at once. The first
// error ends them all; what is already here is kept.
func (f *Fetcher) Artifacts(ctx context.Context, artifacts []recipes.Artifact) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * f.jobs())
	seen := map[recipes.Digest]bool{}
	for _, a := range artifacts {
		if seen[a.SHA256] {
			continue
		}
		seen[a.SHA256] = true
		group.Go(func() error { return f.Artifact(ctx, a) })
	}
	return group.Wait()
}

// Get brings one file into the store. Where its sha256 is known and the store
// or the bundle has it, no mirror is asked.
func (f *Fetcher) Get(ctx context.Context, r Request) (Result, error) {
	f.init()
	if err := r.check(); err != nil {
		return Result{}, err
	}
	if res, err := f.local(ctx, r); err != nil || res.SHA256 != "" {
		return res, err
	}
	select {
	case f.shared.slots <- struct{}{}:
		defer func() { <-f.shared.slots }()
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	places, err := f.places(r)
	if err != nil {
		return Result{}, err
	}
	failed := &MirrorError{Image: f.Image, Archive: r.Archive, Path: r.subject()}
	for _, p := range places {
		if f.Offline && p.url.Scheme != "file" {
			continue
		}
		res, err := f.from(ctx, r, p)
		if err == nil {
			return res, nil
		}
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if fault := (*storeError)(nil); errors.As(err, &fault) {
			return Result{}, f.about(fmt.Errorf("fetch %s: %w", r.subject(), fault))
		}
		failed.Tried = append(failed.Tried, Attempt{Mirror: clean(p.url), Err: err})
	}
	if f.Offline {
		return Result{}, f.offlineError(r, failed)
	}
	return Result{}, failed
}

// local gives what needs no mirror; its Result is empty where nothing does.
func (f *Fetcher) local(ctx context.Context, r Request) (Result, error) {
	if r.SHA256 == "" && f.Bundle != nil {
		r.SHA256 = f.Bundle.Lookup(r.Archive, r.Path)
	}
	if r.SHA256 == "" {
		return Result{}, nil
	}
	found, err := f.have(ctx, r)
	if !found || err != nil {
		return Result{}, err
	}
	size, _ := f.Store.Has(r.SHA256)
	return Result{SHA256: r.SHA256, Size: size}, nil
}

// have says whether the store has a file of known sha256, unharmed, and takes
// it from the store beside it or the bundle where these have it.
func (f *Fetcher) have(ctx context.Context, r Request) (bool, error) {
	_, there := f.Store.Has(r.SHA256)
	file, err := f.Store.Open(ctx, r.SHA256)
	if err == nil {
		return true, file.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	var corrupt *CorruptError
	if there && errors.As(err, &corrupt) { // else it was said before
		f.sink().Say("%v; it is fetched again", err)
	}
	if f.Beside != nil {
		if found, err := f.Beside.into(ctx, f.Store, r.SHA256); found || err != nil {
			return found, err
		}
	}
	if f.Bundle == nil || !f.Bundle.Has(r.SHA256) {
		return false, nil
	}
	return true, f.Bundle.into(ctx, f.Store, r.SHA256)
}

func (f *Fetcher) offlineError(r Request, tried *MirrorError) error {
	err := fmt.Errorf("fetch %s: %w", r.subject(), ErrOffline)
	if len(tried.Tried) > 0 {
		err = fmt.Errorf("%w: %w", tried, ErrOffline)
	}
	if len(tried.Tried) == 0 {
		err = f.about(err)
	}
	return err
}

// about says which image an error is about, where that is known.
func (f *Fetcher) about(err error) error {
	if f.Image == "" {
		return err
	}
	return fmt.Errorf("%s: %w", f.Image, err)
}

func (f *Fetcher) init() {
	f.once.Do(func() {
		if f.shared != nil {
			return
		}
		f.shared = &shared{slots: make(chan struct{}, f.jobs()), client: f.Client}
		if f.shared.client == nil {
			f.shared.client = NewClient()
		}
		f.shared.logins.read()
	})
}

func (f *Fetcher) jobs() int {
	if f.Jobs > 0 {
		return f.Jobs
	}
	return defaultJobs
}

func (f *Fetcher) pause() time.Duration {
	if f.Pause > 0 {
		return f.Pause
	}
	return 500 * time.Millisecond
}

func (f *Fetcher) sink() progress.Sink {
	if f.Progress == nil {
		return progress.Discard{}
	}
	return f.Progress
}

// subject is the request in messages: its path, or its address without
// credentials.
func (r Request) subject() string {
	if r.URL != "" && r.Path == "" {
		return CleanURL(r.URL)
	}
	return r.Path
}

// title is the request in a list of downloads: the file's name, and for
// indexes, which all have the same, the folders too.
func (r Request) title() string {
	if below, ok := strings.CutPrefix(r.subject(), "dists/"); ok {
		return below
	}
	if name := path.Base(r.subject()); !strings.HasPrefix(name, "APKINDEX.") {
		return name
	}
	return r.subject()
}

func (r Request) check() error {
	if r.SHA256 != "" && !valid(r.SHA256) {
		return fmt.Errorf("fetch %s: %q is no sha256", r.subject(), r.SHA256)
	}
	if r.URL != "" {
		return nil
	}
	if r.Archive == "" || r.Path == "" || path.Clean("/"+r.Path) != "/"+strings.TrimSuffix(r.Path, "/") {
		return fmt.Errorf("fetch: %q of %q is no path below a mirror", r.Path, r.Archive)
	}
	return nil
}

func (r Request) limit() int64 {
	switch {
	case r.Size > 0:
		return r.Size
	case r.MaxSize > 0:
		return r.MaxSize
	}
	return defaultMaxSize
}
