package archive

import (
	"context"
	"fmt"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Options says how an artefact is laid out.
type Options struct {
	// Name is what messages call the artefact.
	Name string
	recipes.Placement
	// Platform, where set, takes the native libraries of other platforms out
	// of the jars that stay.
	Platform recipes.Platform
	Limits   Limits
}

// Lay expands an archive that is in the store, goes into the inner archive
// where the placement names one, places its entries and takes out of its jars
// what drops name ("lib/a.jar!/b/**").
func Lay(ctx context.Context, s *fetch.Store, blob recipes.Digest, o Options) ([]rootfs.Entry, []Dropped, error) {
	entries, err := Expand(ctx, s, blob, o.Name, o.Limits)
	if err != nil {
		return nil, nil, err
	}
	if o.Inner != "" {
		if entries, err = inner(ctx, s, entries, o); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", o.Name, err)
		}
	}
	return LayEntries(ctx, s, entries, o)
}

// LayEntries is Lay for entries that are at hand: those of an archive, or one
// file.
func LayEntries(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, o Options) ([]rootfs.Entry, []Dropped, error) {
	kept, dropped, err := cut(entries, o.Placement)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	fromJars, err := lighten(ctx, s, kept, o)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	placed, err := moved(kept, o.Placement)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	return placed, append(dropped, fromJars...), nil
}

// inner expands the one entry that the placement's inner glob matches.
func inner(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, o Options) ([]rootfs.Entry, error) {
	var found []rootfs.Entry
	for _, e := range entries {
		ok, err := match(o.Inner, e.Path)
		if err != nil {
			return nil, err
		}
		if ok && e.Type == rootfs.Regular {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("inner %q matches %d files, it has to be one", o.Inner, len(found))
	}
	out, err := expandEntry(ctx, s, found[0], o.Limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found[0].Path, err)
	}
	return out, nil
}

// lighten replaces the jars that lose entries, in place. Names that are hard
// links of each other are one file: a drop that names any of them is for all.
func lighten(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, o Options) ([]Dropped, error) {
	names := map[string][]string{} // file → all its names
	for _, e := range entries {
		if e.Type == rootfs.Hardlink {
			names[e.Link] = append(names[e.Link], e.Path)
		}
	}
	outer := newInsides(o.Drop)
	var dropped []Dropped
	for i, e := range entries {
		if e.Type != rootfs.Regular {
			continue
		}
		which, err := outer.of(append(names[e.Path], e.Path))
		if err != nil {
			return nil, err
		}
		if len(which) > 0 {
			var r rewritten
			if e, r, err = dropInside(ctx, s, e, globs(outer.drops(which))); err != nil {
				return nil, err
			}
			outer.mark(which, r.Used)
			dropped = append(dropped, r.Dropped...)
		}
		if o.Platform != "" && strings.HasSuffix(e.Path, ".jar") {
			var r rewritten
			if e, r, err = dropInside(ctx, s, e, foreignNatives(o.Platform)); err != nil {
				return nil, err
			}
			dropped = append(dropped, r.Dropped...)
		}
		entries[i] = e
	}
	return dropped, outer.unused()
}

// insides are the drops that reach into archives.
type insides []insideDrop

type insideDrop struct {
	outer string       // glob on the archive's path
	inner recipes.Drop // its pattern is a glob on paths inside
	whole string
	used  bool
}

func newInsides(drops []recipes.Drop) insides {
	var out insides
	for _, d := range drops {
		archive, glob, ok := strings.Cut(d.Pattern, inside)
		if !ok {
			continue
		}
		entry := d
		entry.Pattern = glob
		out = append(out, insideDrop{outer: archive, inner: entry, whole: d.Pattern})
	}
	return out
}

// of returns which drops concern a file of these names.
func (x insides) of(names []string) ([]int, error) {
	var which []int
	for i := range x {
		for _, name := range names {
			ok, err := match(x[i].outer, name)
			if err != nil {
				return nil, err
			}
			if ok {
				which = append(which, i)
				break
			}
		}
	}
	return which, nil
}

func (x insides) drops(which []int) []recipes.Drop {
	var out []recipes.Drop
	for _, i := range which {
		out = append(out, x[i].inner)
	}
	return out
}

func (x insides) mark(which []int, used []bool) {
	for n, i := range which {
		x[i].used = x[i].used || used[n]
	}
}

// unused is an error where a drop matched nothing in any archive.
func (x insides) unused() error {
	for _, d := range x {
		if !d.used {
			return fmt.Errorf("drop %q matches nothing", d.whole)
		}
	}
	return nil
}
