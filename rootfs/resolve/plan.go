package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/recipes"
)

// job is one filling of a lock.
type job struct {
	Options
	distro  recipes.Distro
	set     *recipes.Set
	old     *recipes.Lock // nil where there is none
	reasons []string      // why the lock changes
	work    map[recipes.Platform][]recipes.Ref
	anew    bool // against other indexes than the old lock's
	partly  bool // what is not the work is kept, whatever the indexes have
	memo    memo

	mu    sync.Mutex
	files map[string][]byte // Result.Files
}

// plan finds what a lock lacks.
func plan(set *recipes.Set, old *recipes.Lock, d recipes.Distro, o Options) (*job, error) {
	j := &job{Options: o, distro: d, set: set, old: old, work: map[recipes.Platform][]recipes.Ref{}, files: map[string][]byte{}}
	if old == nil {
		j.reasons = append(j.reasons, "there is no lock")
		return j, j.all()
	}
	if o.Refresh && len(o.Only) > 0 {
		return j, j.some()
	}
	if o.Refresh {
		j.reasons = append(j.reasons, "everything is resolved anew")
		return j, j.all()
	}
	if was := branch(old); was != "" && was != o.Release {
		j.reasons = append(j.reasons, fmt.Sprintf("it is asked for %s, the lock is of %s", o.Release, was))
		j.Refresh = true
		return j, j.all()
	}
	outdated, err := old.Check(set, recipes.Platforms()...)
	if err != nil {
		return nil, err
	}
	for _, out := range outdated {
		_, locked := old.Image(out.Ref, out.Platform)
		wanted := slices.Contains(o.Images, out.Ref) && slices.Contains(o.Platforms, out.Platform)
		_, err := set.Image(out.Ref, d, out.Platform)
		switch {
		case err != nil: // no recipe makes it: it leaves with the next change
		case wanted:
			j.reasons = append(j.reasons, out.String())
			j.work[out.Platform] = append(j.work[out.Platform], out.Ref)
		case locked && slices.Contains(o.Platforms, out.Platform):
			// It is not asked for, but it stands on what changes.
			j.work[out.Platform] = append(j.work[out.Platform], out.Ref)
		}
	}
	j.checkTools()
	return j, nil
}

// checkTools compares what else changes the bytes of images.
func (j *job) checkTools() {
	if j.Encoder != "" && (j.Encoder != j.old.Encoder || j.EncoderGolden != j.old.EncoderGolden) {
		j.reasons = append(j.reasons, fmt.Sprintf("the encoder is %s, the lock has %s", j.Encoder, j.old.Encoder))
	}
	if j.LayerFormat != 0 && j.LayerFormat != j.old.Layers() {
		j.reasons = append(j.reasons, fmt.Sprintf("layers are written by format %d, the lock has %d", j.LayerFormat, j.old.Layers()))
	}
	if j.Go == "" || j.Go == j.old.Go {
		return
	}
	for _, image := range j.old.Images {
		if slices.Contains(j.Images, image.Ref) && slices.ContainsFunc(image.Artifacts, func(a recipes.Artifact) bool { return a.Kind == recipes.KindGo }) {
			j.reasons = append(j.reasons, fmt.Sprintf("Go programs are built with %s, the lock has %s", j.Go, j.old.Go))
			return
		}
	}
}

// all makes the whole distro the work: what is asked for, and what was locked.
func (j *job) all() error {
	for _, p := range recipes.Platforms() {
		images, err := j.set.Images(j.distro, p)
		if err != nil {
			return err
		}
		j.work[p] = nil
		for _, image := range images {
			wanted := slices.Contains(j.Images, image.Ref) && slices.Contains(j.Platforms, p)
			locked := false
			if j.old != nil {
				_, locked = j.old.Image(image.Ref, p)
			}
			if wanted || locked {
				j.work[p] = append(j.work[p], image.Ref)
			}
		}
		if len(j.work[p]) == 0 {
			delete(j.work, p)
		}
	}
	return nil
}

// run resolves the work and gives the new lock.
func (j *job) run(ctx context.Context) (*recipes.Lock, error) {
	worlds, err := j.worlds(ctx)
	if err != nil {
		return nil, err
	}
	l := &recipes.Lock{Format: recipes.LockFormat, Distro: j.distro}
	if j.old != nil {
		l.Encoder, l.EncoderGolden, l.LayerFormat, l.Go = j.old.Encoder, j.old.EncoderGolden, j.old.LayerFormat, j.old.Go
	}
	if !j.anew {
		l.Release, l.Date, l.Indexes = j.old.Release, j.old.Date, slices.Clone(j.old.Indexes)
		j.keep(l)
	}
	if j.partly {
		j.keep(l)
	}
	if j.Encoder != "" {
		l.Encoder, l.EncoderGolden = j.Encoder, j.EncoderGolden
	}
	if j.LayerFormat != 0 {
		l.LayerFormat = j.LayerFormat
	}
	if j.Go != "" {
		l.Go = j.Go
	}
	if err := join(l, worlds); err != nil {
		return nil, err
	}
	if err := j.sameRelease(l); err != nil {
		return nil, err
	}
	j.dateKept(l)
	if err := j.fill(ctx, l, worlds); err != nil {
		return nil, err
	}
	return l, j.hold(ctx, l, worlds)
}

// keep takes over what is not resolved again and still has a recipe.
func (j *job) keep(l *recipes.Lock) {
	for _, image := range j.old.Images {
		if _, err := j.set.Image(image.Ref, j.distro, image.Platform); err == nil {
			l.Put(image)
		}
	}
}

// worlds loads the indexes: those that the lock names, or, where there are
// none or one of them is gone, today's; then the whole distro is the work.
func (j *job) worlds(ctx context.Context) (map[recipes.Platform]world, error) {
	if j.old != nil && !j.Refresh {
		loaded, err := j.load(ctx, j.old.Indexes)
		if err == nil {
			return loaded, nil
		}
		var missing *missingError
		if !errors.As(err, &missing) && !gone(err) {
			return nil, err
		}
		j.Progress.Say("%s is resolved anew as a whole: %v", j.distro, err)
		if err := j.all(); err != nil {
			return nil, err
		}
	}
	j.anew = true
	return j.load(ctx, nil)
}

// load reads the indexes of every platform that there is work for.
func (j *job) load(ctx context.Context, locked []recipes.LockedIndex) (map[recipes.Platform]world, error) {
	group, ctx := errgroup.WithContext(ctx)
	platforms := recipes.Platforms()
	worlds := make([]world, len(platforms))
	for i, p := range platforms {
		if len(j.work[p]) == 0 && !(j.partly && j.holds(p)) {
			continue
		}
		group.Go(func() (err error) {
			worlds[i], err = j.open(ctx, p, locked)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := map[recipes.Platform]world{}
	for i, p := range platforms {
		if worlds[i] != nil {
			out[p] = worlds[i]
		}
	}
	return out, nil
}

// join writes what the indexes say of themselves into the lock.
func join(l *recipes.Lock, worlds map[recipes.Platform]world) error {
	for _, p := range recipes.Platforms() {
		w := worlds[p]
		if w == nil {
			continue
		}
		about := w.about()
		if l.Release != "" && l.Release != about.release {
			return fmt.Errorf("the indexes of %s are of release %s, others of %s: the mirror is between two releases, try again later", p, about.release, l.Release)
		}
		l.Release = about.release
		if about.date.After(l.Date) {
			l.Date = about.date
		}
		for _, index := range about.indexes {
			if !slices.Contains(l.Indexes, index) {
				l.Indexes = append(l.Indexes, index)
			}
		}
	}
	slices.SortFunc(l.Indexes, compareIndexes)
	return nil
}
