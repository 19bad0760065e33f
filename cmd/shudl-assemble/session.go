package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/gobin"
	"github.com/shudl/shudl-assemble/rootfs/pypi"
	"github.com/shudl/shudl-assemble/rootfs/resolve"
)

// snapshotLag is how long after the date of an index Debian's
// snapshot service surely has what the index names.
const snapshotLag = 12 * time.Hour

// work is what the commands on images start from.
type work struct {
	app       *app
	dir       string // of the recipes; "" for the built-in ones
	distro    recipes.Distro
	set       *recipes.Set
	refs      []recipes.Ref
	platforms []recipes.Platform
	store     *fetch.Store
	mirrors   fetch.Mirrors
	goProxies func() []string
	bundle    *fetch.Bundle
	old       *recipes.Lock
}

// start reads recipes and lock and opens store and bundle; all is as the
// flags say.
func (a *app) start(ctx context.Context, args []string, all bool) (*work, error) {
	w, err := a.choose(args, all)
	if err != nil {
		return nil, err
	}
	return w, w.open(ctx)
}

// choose reads recipes and lock.
func (a *app) choose(args []string, all bool) (*work, error) {
	w := &work{app: a, dir: a.recipeFolder()}
	var err error
	if w.distro, err = recipes.ParseDistro(a.distro); err != nil {
		return nil, usage(fmt.Errorf("--distro: %w", err))
	}
	if w.platforms, err = a.platformList(); err != nil {
		return nil, err
	}
	if w.set, err = recipes.Open(w.dir); err != nil {
		return nil, usage(err)
	}
	if w.refs, err = w.set.Select(args, all, w.distro); err != nil {
		return nil, usage(err)
	}
	w.old, err = recipes.OpenLock(w.dir, w.distro)
	return w, err
}

// named are the images that the arguments name, in all their streams where
// none is named, without their ancestors.
func named(set *recipes.Set, args []string, d recipes.Distro) ([]recipes.Ref, error) {
	var out []recipes.Ref
	for _, arg := range args {
		refs, err := set.Select([]string{arg}, false, d)
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			if ref.Name == refs[len(refs)-1].Name && !slices.Contains(out, ref) {
				out = append(out, ref)
			}
		}
	}
	return out, nil
}

// open opens store, mirrors and bundle.
func (w *work) open(ctx context.Context) (err error) {
	if w.store, err = w.app.openStore(); err != nil {
		return err
	}
	if w.mirrors, err = w.app.discover(ctx); err != nil {
		return err
	}
	w.goProxies = sync.OnceValue(func() []string { return fetch.DiscoverOptions{}.GoProxies(ctx) })
	if w.app.bundle != "" {
		if w.bundle, err = fetch.OpenBundle(w.app.bundle); err != nil {
			return err
		}
		w.app.closers = append(w.app.closers, w.bundle.Close)
	}
	return nil
}

func (a *app) openStore() (*fetch.Store, error) {
	s, err := fetch.OpenStore(a.cache)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, s.Close)
	return s, nil
}

// fetcher fetches with a lock's dates in mind: nil for none.
func (w *work) fetcher(lock *recipes.Lock) *fetch.Fetcher {
	mirrors := w.mirrors
	if lock != nil {
		var dates []time.Time
		for _, date := range lock.Dates() {
			dates = append(dates, date.Add(snapshotLag))
		}
		mirrors = mirrors.WithSnapshot(dates...)
	}
	return &fetch.Fetcher{
		Store: w.store, Mirrors: mirrors, GoProxies: w.goProxies, Bundle: w.bundle, Offline: w.app.offline, Jobs: w.app.jobs,
		Progress: w.app.sink, Locators: map[string]fetch.Locator{fetch.PyPI: pypi.Locate},
	}
}

// resolveOptions are those of the lock, for the images of this run.
func (w *work) resolveOptions() resolve.Options {
	o := resolve.Options{
		Fetcher: w.fetcher(w.old), Images: w.refs, Platforms: w.platforms, Keyring: w.app.keyring, Release: w.app.release,
		Encoder: layers.EncoderID, EncoderGolden: layers.EncoderGolden, LayerFormat: layers.Format, Locked: w.app.locked,
		Jobs: w.app.jobs, Progress: w.app.sink,
	}
	if w.old == nil || w.old.Go == "" {
		o.Go = runtime.Version()
	}
	return o
}

// fillLock gives a lock that holds the images of this run. What is missing is
// resolved, told and written.
func (w *work) fillLock(ctx context.Context) (*recipes.Lock, error) {
	result, err := resolve.Lock(ctx, w.set, w.old, w.distro, w.resolveOptions())
	if err != nil || !result.Changed {
		return w.old, err
	}
	return result.Lock, w.write(result)
}

// write keeps a changed lock, and the module files that it goes with.
func (w *work) write(r *resolve.Result) error {
	for name, content := range r.Files {
		if err := w.writeFile(name, content); err != nil {
			return err
		}
	}
	path := recipes.LockPath(w.dir, w.distro)
	if err := r.Lock.WriteFile(path); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	w.app.sink.Say("wrote %s", path)
	w.tell(r.Changes)
	if len(r.Files) == 0 {
		return nil
	}
	set, err := recipes.Open(w.dir)
	if err == nil {
		w.set = set
	}
	return err
}

// writeFile puts a generated file into the folder of recipes.
func (w *work) writeFile(name string, content []byte) error {
	if w.dir == "" {
		return fmt.Errorf("the built-in recipes lack %s: give a folder of recipes by --recipes", name)
	}
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		return err
	}
	w.app.sink.Say("wrote %s", path)
	return nil
}

// tell says what moved since the lock before.
func (w *work) tell(changes []recipes.Change) {
	if w.old == nil {
		return
	}
	for _, c := range changes {
		w.app.sink.Say("  %s", c)
	}
}

// options are those of the driver, without a destination.
func (w *work) options(lock *recipes.Lock) (assemble.Options, error) {
	date, err := sourceDate()
	if err != nil {
		return assemble.Options{}, err
	}
	builder, err := provenance.BuilderID(os.Getenv)
	if err != nil {
		return assemble.Options{}, err
	}
	f := w.fetcher(lock)
	return assemble.Options{
		Set: w.set, Lock: lock, Refs: w.refs, Platforms: w.platforms, Store: w.store, Fetcher: f,
		Go: gobin.Options{Version: lock.Go, Fetcher: f, Helper: compileCommand()}, SourceDate: date,
		Jobs: w.app.jobs, Progress: w.app.sink, Tool: programVersion(), Builder: builder,
	}, nil
}

// sourceDate reads SOURCE_DATE_EPOCH
// (https://reproducible-builds.org/specs/source-date-epoch/): seconds.
func sourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, usage(fmt.Errorf("SOURCE_DATE_EPOCH: %q is no number of seconds", text))
	}
	return time.Unix(seconds, 0).UTC(), nil
}
