package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/apk"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/deb"
)

// packages adds the distro packages of the layer, in the lock's order.
func (c *collector) packages(ctx context.Context) error {
	drops := newDrops(c.layer.Drop)
	for _, a := range c.artifacts(recipes.KindDeb, recipes.KindAPK) {
		if inRoot(a) {
			continue // laid out with its root
		}
		entries, err := c.open(ctx, a)
		if err != nil {
			return fmt.Errorf("package %s %s: %w", a.Name, a.Version, err)
		}
		entries, err = c.drop(entries, drops)
		if err != nil {
			return fmt.Errorf("package %s %s: %w", a.Name, a.Version, err)
		}
		if err := c.add(entries); err != nil {
			return fmt.Errorf("package %s %s: %w", a.Name, a.Version, err)
		}
	}
	return drops.unused()
}

// open reads a package and remembers what it replaces.
func (c *collector) open(ctx context.Context, a recipes.Artifact) ([]rootfs.Entry, error) {
	if a.Kind == recipes.KindAPK {
		p, err := apk.Open(ctx, c.Store, a)
		if err != nil {
			return nil, err
		}
		c.remember(a, p.Replaces)
		return p.Entries, nil
	}
	p, err := deb.Open(ctx, c.Store, a)
	if err != nil {
		return nil, err
	}
	c.remember(a, p.Replaces)
	return p.Entries, nil
}

func (c *collector) remember(a recipes.Artifact, names []string) {
	of := map[string]bool{}
	for _, n := range names {
		of[n] = true
	}
	c.packed[a.PURL] = replaces{name: a.Name, of: of}
}

// drop takes out what the layer's globs name, and notes it.
func (c *collector) drop(entries []rootfs.Entry, drops *drops) ([]rootfs.Entry, error) {
	applicable := drops.matching(entries)
	if len(applicable) == 0 {
		return entries, nil
	}
	kept, dropped, err := archive.Without(entries, applicable)
	if err != nil {
		return nil, err
	}
	c.out.Dropped = append(c.out.Dropped, dropped...)
	return kept, nil
}

// drops are the globs of a layer, each of which must match something, and so
// must what they keep.
type drops struct {
	list []recipes.Drop
	used []bool
	kept map[string]bool // keep globs that matched
}

func newDrops(list []recipes.Drop) *drops {
	return &drops{list: list, used: make([]bool, len(list)), kept: map[string]bool{}}
}

// matching returns the globs that match one of the entries.
func (d *drops) matching(entries []rootfs.Entry) []recipes.Drop {
	some := func(glob string) bool {
		return slices.ContainsFunc(entries, func(e rootfs.Entry) bool { return doublestar.MatchUnvalidated(glob, e.Path) })
	}
	var out []recipes.Drop
	for i, drop := range d.list {
		if !some(drop.Pattern) {
			continue
		}
		d.used[i] = true
		out = append(out, drop)
		for _, glob := range drop.Keep {
			d.kept[glob] = d.kept[glob] || some(glob)
		}
	}
	return out
}

// unused is an error for globs that took nothing out or kept nothing: a recipe
// must not claim what it does not do. All are told at once.
func (d *drops) unused() error {
	var errs []error
	for i, drop := range d.list {
		p := drop.Pos
		if !d.used[i] {
			errs = append(errs, fmt.Errorf("%s:%d:%d: drop %q matches nothing in the layer's packages", p.File, p.Line, p.Column, drop.Pattern))
			continue
		}
		for _, glob := range drop.Keep {
			if !d.kept[glob] {
				errs = append(errs, fmt.Errorf("%s:%d:%d: keep %q matches nothing in the packages that drop %q matches", p.File, p.Line, p.Column, glob, drop.Pattern))
			}
		}
	}
	return errors.Join(errs...)
}
