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

// drops are the globs of a layer, each of which must match something.
type drops struct {
	list []recipes.Drop
	used []bool
}

func newDrops(list []recipes.Drop) *drops {
	return &drops{list: list, used: make([]bool, len(list))}
}

// matching returns the globs that match one of the entries.
func (d *drops) matching(entries []rootfs.Entry) []recipes.Drop {
	var out []recipes.Drop
	for i, drop := range d.list {
		if slices.ContainsFunc(entries, func(e rootfs.Entry) bool { return doublestar.MatchUnvalidated(drop.Pattern, e.Path) }) {
			d.used[i] = true
			out = append(out, drop)
		}
	}
	return out
}

// unused is an error for globs that took nothing out: a recipe must not claim
// what it does not do. All are told at once.
func (d *drops) unused() error {
	var errs []error
	for i, used := range d.used {
		if !used {
			p := d.list[i].Pos
			errs = append(errs, fmt.Errorf("%s:%d:%d: drop %q matches nothing in the layer's packages", p.File, p.Line, p.Column, d.list[i].Pattern))
		}
	}
	return errors.Join(errs...)
}
