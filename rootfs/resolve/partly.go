package resolve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// StandsError says that an image cannot stay as it is locked on ancestors that
// are resolved anew.
type StandsError struct {
	Image    recipes.Ref
	Platform recipes.Platform
	// Err says what does not hold; nil where More would be needed beside what
	// is locked.
	Err  error
	More []string // name version
}

func (e *StandsError) Error() string {
	why := "its packages would need more than is locked: " + strings.Join(e.More, ", ")
	if e.Err != nil {
		why = e.Err.Error()
	}
	return fmt.Sprintf("image %s on %s cannot stay as it is locked: %s: refresh it too", e.Image, e.Platform, why)
}

func (e *StandsError) Unwrap() error { return e.Err }

// unknown says that a package which left the indexes cannot be asked what it
// needs.
func unknown(a recipes.Artifact, err error) error {
	return fmt.Errorf("package %s %s is in no index any more: lock its image anew (lock --refresh): %w", a.Name, a.Version, err)
}

// some makes the images of Options.Only the work.
func (j *job) some() error {
	j.partly = true
	if was := branch(j.old); was != "" && was != j.Release {
		return fmt.Errorf("the lock is of %s: %s wants everything resolved anew", was, j.Release)
	}
	for _, p := range recipes.Platforms() {
		images, err := j.set.Images(j.distro, p)
		if err != nil {
			return err
		}
		for _, image := range images {
			if _, locked := j.old.Image(image.Ref, p); locked && slices.Contains(j.Only, image.Ref) {
				j.work[p] = append(j.work[p], image.Ref)
			}
		}
	}
	if len(j.work) == 0 {
		return fmt.Errorf("%s: not in the lock yet: `shudl-assemble lock` adds what is missing", j.Only)
	}
	for _, ref := range j.Only {
		j.reasons = append(j.reasons, fmt.Sprintf("%s is resolved anew", ref))
	}
	return nil
}

// holds says whether the old lock has images of a platform, whose indexes the
// new one then needs.
func (j *job) holds(p recipes.Platform) bool {
	return slices.ContainsFunc(j.old.Images, func(i recipes.LockedImage) bool { return i.Platform == p })
}

// dateKept gives what a partial refresh keeps the date that it had, by which
// the archives are searched for it and which its image has: a refresh of other
// images changes neither.
func (j *job) dateKept(l *recipes.Lock) {
	if !j.partly {
		return
	}
	for i := range l.Images {
		kept := &l.Images[i]
		if kept.Date = j.old.Resolved(*kept); kept.Date.Equal(l.Date) {
			kept.Date = time.Time{}
		}
	}
}

// sameRelease refuses a partial refresh onto another release of the distro
// without its base, which carries the release's number.
func (j *job) sameRelease(l *recipes.Lock) error {
	if !j.partly || l.Release == j.old.Release || slices.ContainsFunc(j.Only, func(r recipes.Ref) bool { return r.Name == j.distro.Base() }) {
		return nil
	}
	return fmt.Errorf("%s is now %s, and the lock is of %s: refresh %s too", j.distro, l.Release, j.old.Release, j.distro.Base())
}

// hold checks that what was kept can stand on what was resolved anew: that the
// same packages, and none beside them, are what its packages need.
func (j *job) hold(ctx context.Context, l *recipes.Lock, worlds map[recipes.Platform]world) error {
	if !j.partly {
		return nil
	}
	for _, p := range recipes.Platforms() {
		images, err := j.set.Images(j.distro, p)
		if err != nil {
			return err
		}
		for _, image := range images {
			locked, ok := l.Image(image.Ref, p)
			if !ok || worlds[p] == nil || slices.Contains(j.work[p], image.Ref) {
				continue
			}
			if err := j.holdImage(ctx, l, image, locked, worlds[p]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *job) holdImage(ctx context.Context, l *recipes.Lock, image *recipes.Image, locked *recipes.LockedImage, w world) error {
	chain, err := j.set.Chain(image.Ref, j.distro, image.Platform)
	if err != nil {
		return err
	}
	above := chain[:len(chain)-1]
	if !slices.ContainsFunc(above, func(i *recipes.Image) bool { return slices.Contains(j.work[image.Platform], i.Ref) }) {
		return nil
	}
	held, below, err := standsOn(ctx, l, above, w)
	if err != nil {
		return err
	}
	if err := w.learn(ctx, packagesOf(locked.Artifacts)); err != nil {
		return err
	}
	for _, layer := range image.Layers {
		own := packagesOf(slices.DeleteFunc(slices.Clone(locked.Artifacts), func(a recipes.Artifact) bool { return a.Layer != layer.Name }))
		if len(own) == 0 {
			continue
		}
		for _, a := range own {
			if slices.ContainsFunc(held, func(h recipes.Artifact) bool { return h.Name == a.Name }) {
				return &StandsError{Image: image.Ref, Platform: image.Platform, Err: fmt.Errorf("package %s is now in an image that it stands on", a.Name)}
			}
		}
		pinned := layer
		pinned.Packages = nil
		for _, a := range own {
			pinned.Packages = append(pinned.Packages, recipes.Package{Name: a.Name + "=" + a.Version})
		}
		found, err := w.add(ctx, wish{layer: pinned, held: held, exclude: excluded(chain, layer), roots: below})
		if err != nil {
			return &StandsError{Image: image.Ref, Platform: image.Platform, Err: err}
		}
		if more := beside(found, own); len(more) > 0 {
			return &StandsError{Image: image.Ref, Platform: image.Platform, More: more}
		}
		held = append(held, own...)
	}
	return nil
}

// beside lists the packages that are not among those of a lock.
func beside(found, locked []recipes.Artifact) []string {
	var more []string
	for _, a := range found {
		if !slices.ContainsFunc(locked, func(b recipes.Artifact) bool { return a.Name == b.Name && a.Version == b.Version }) {
			more = append(more, a.Name+" "+a.Version)
		}
	}
	return more
}
