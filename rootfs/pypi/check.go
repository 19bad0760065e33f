package pypi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// File is a locked file and the source that it was resolved from.
type File struct {
	Artifact recipes.Artifact
	Source   recipes.PyPISource
}

// Check says whether the files of an image, its parents' included, belong
// together: every wheel takes the interpreter, and each of its requirements
// that applies to the target is met by a file that a recipe names. All that
// is not met is in the error. What an sdist needs is not known without
// running it, so that is the recipe's to say. What a recipe excludes, with
// its reason, may be missing.
func Check(ctx context.Context, s *fetch.Store, t Target, files []File, excluded ...recipes.Exclude) error {
	c := &checker{t: t, env: t.environment(), versions: map[string]string{}, wheels: map[string]*wheel{}, excluded: map[string]bool{}, done: map[string]bool{}}
	for _, x := range excluded {
		c.excluded[Normalize(x.Name)] = true
	}
	extras := map[string][]string{}
	for _, f := range files {
		r, err := parseRequirement(f.Source.Requirement)
		if err != nil {
			return err
		}
		c.versions[r.name], extras[r.name] = f.Artifact.Version, r.extras
		if f.Source.SDist {
			continue
		}
		if c.wheels[r.name], err = openWheel(ctx, s, f.Artifact); err != nil {
			return fmt.Errorf("pypi %s: %w", f.Source.Requirement, err)
		}
	}
	var names []string
	for name := range c.wheels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c.check(name, extras[name])
	}
	return errors.Join(c.errs...)
}

type checker struct {
	t        Target
	env      map[string]string
	versions map[string]string // every file, sdists too
	wheels   map[string]*wheel
	excluded map[string]bool
	done     map[string]bool
	errs     []error
}

// check holds one wheel, with the extras that are asked of it.
func (c *checker) check(name string, extras []string) {
	slices.Sort(extras)
	key := name + "[" + strings.Join(extras, ",") + "]"
	w := c.wheels[name]
	if w == nil || c.done[key] {
		return
	}
	c.done[key] = true
	fail := func(format string, args ...any) {
		c.errs = append(c.errs, fmt.Errorf("pypi %s %s: %w", name, c.versions[name], fmt.Errorf(format, args...)))
	}
	if ok, err := allow(w.metadata.python, c.t.Python+".0"); err != nil || !ok {
		fail("it does not take Python %s", c.t.Python)
	}
	for _, r := range w.metadata.requires {
		if r.marker != nil {
			ok, err := r.marker.holds(c.env, extras)
			if err != nil {
				fail("%w", err)
			}
			if !ok {
				continue
			}
		}
		have, ok := c.versions[r.name]
		if !ok && c.excluded[r.name] {
			continue
		}
		if !ok {
			fail("it needs %s%s, which no recipe names: add it under pypi", r.name, r.spec)
			continue
		}
		if ok, err := allow(r.clauses, have); err != nil || !ok {
			fail("it needs %s%s, the recipe names %s", r.name, r.spec, have)
		}
		c.check(r.name, r.extras)
	}
}
