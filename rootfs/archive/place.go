package archive

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// Dropped is a file that an artefact holds and the image does not.
type Dropped struct {
	// Owner is the purl of the artefact; whoever lays it out sets it.
	Owner string
	// Path is that after strip; "a.jar!/b" lies inside an archive.
	Path   string
	Reason string
	Size   int64
	// SHA256 is the dropped file's; empty for what lay inside an archive.
	SHA256 recipes.Digest
	// Original is the sha256 that an archive had before it lost Path.
	Original recipes.Digest
}

// inside separates the path of an archive from a path inside it.
const inside = "!/"

// Place lays entries out as a recipe says: strip leading folders, select,
// drop, put below into, set owner and mode. Every glob must match something.
// A hard link whose first name went becomes the file, and its siblings point
// at it. Folders between into and an entry are made where the archive or the
// selection has none. Patterns that reach into an archive ("a.jar!/b") are
// not for Place, which leaves them to Lay.
func Place(entries []rootfs.Entry, p recipes.Placement) (placed []rootfs.Entry, dropped []Dropped, err error) {
	kept, dropped, err := cut(entries, p)
	if err != nil {
		return nil, nil, err
	}
	placed, err = moved(kept, p)
	return placed, dropped, err
}

// Without takes out what drops match and changes nothing else: paths, owners
// and modes stay as a package has them. Hard links whose first name went are
// retargeted as by Place.
func Without(entries []rootfs.Entry, drops []recipes.Drop) (kept []rootfs.Entry, dropped []Dropped, err error) {
	return cut(entries, recipes.Placement{Drop: drops})
}

// cut is Place without moving anything yet.
func cut(entries []rootfs.Entry, p recipes.Placement) (kept []rootfs.Entry, dropped []Dropped, err error) {
	kept = stripped(entries, p.Strip)
	if kept, err = selected(kept, p.Select); err != nil {
		return nil, nil, err
	}
	if kept, dropped, err = without(kept, p.Drop); err != nil {
		return nil, nil, err
	}
	kept, err = relinked(kept, entries, p.Strip)
	return kept, dropped, err
}

// strip removes n leading folders; ok is false for what has no more.
func strip(name string, n int) (string, bool) {
	for range n {
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			return "", false
		}
		name = rest
	}
	return name, true
}

// stripped removes leading folders, and what lies in them directly.
func stripped(entries []rootfs.Entry, n int) []rootfs.Entry {
	out := make([]rootfs.Entry, 0, len(entries))
	for _, e := range entries {
		name, ok := strip(e.Path, n)
		if !ok {
			continue
		}
		e.Path = name
		out = append(out, e)
	}
	return out
}

// selected keeps what any of the globs matches, and the folders of the
// archive that this lies in; no globs keep everything.
func selected(entries []rootfs.Entry, globs []string) ([]rootfs.Entry, error) {
	if len(globs) == 0 {
		return entries, nil
	}
	used := make([]bool, len(globs))
	keep, parents := make([]bool, len(entries)), map[string]bool{}
	for i, e := range entries {
		for g, glob := range globs {
			ok, err := match(glob, e.Path)
			if err != nil {
				return nil, err
			}
			if ok {
				used[g], keep[i] = true, true
			}
		}
		if keep[i] {
			for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
				parents[dir] = true
			}
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, fmt.Errorf("select %q matches nothing", globs[i])
	}
	var out []rootfs.Entry
	for i, e := range entries {
		if keep[i] || e.Type == rootfs.Directory && parents[e.Path] {
			out = append(out, e)
		}
	}
	return out, nil
}

// without takes out what the drops match and do not keep.
func without(entries []rootfs.Entry, drops []recipes.Drop) ([]rootfs.Entry, []Dropped, error) {
	taken, err := takers(entries, drops)
	if err != nil {
		return nil, nil, err
	}
	out := make([]rootfs.Entry, 0, len(entries))
	var dropped []Dropped
	told := map[int]int{} // drop that keeps something → its place in dropped
	for i, e := range entries {
		d := taken[i]
		if d < 0 {
			out = append(out, e)
			continue
		}
		at, known := told[d]
		switch {
		case e.Type == rootfs.Directory:
		case known:
			dropped[at].Size += e.Size
		case len(drops[d].Keep) > 0:
			told[d] = len(dropped)
			dropped = append(dropped, summed(drops[d], e.Owner, e.Size))
		default:
			dropped = append(dropped, Dropped{Owner: e.Owner, Path: e.Path, Reason: drops[d].Reason, Size: e.Size, SHA256: e.SHA256})
		}
	}
	return out, dropped, nil
}

// takers gives for each entry the position of the first drop that takes it
// out, or -1. Each drop must match something; those that reach into archives
// are Lay's.
func takers(entries []rootfs.Entry, drops []recipes.Drop) ([]int, error) {
	taken := slices.Repeat([]int{-1}, len(entries))
	for d, drop := range drops {
		if strings.Contains(drop.Pattern, inside) {
			continue
		}
		stays, err := spared(entries, drop)
		if err != nil {
			return nil, err
		}
		used := false
		for i, e := range entries {
			ok, err := match(drop.Pattern, e.Path)
			if err != nil {
				return nil, err
			}
			used = used || ok
			if ok && taken[i] < 0 && !stays[e.Path] {
				taken[i] = d
			}
		}
		if !used {
			return nil, fmt.Errorf("drop %q matches nothing", drop.Pattern)
		}
	}
	return taken, nil
}

func match(glob, name string) (bool, error) {
	ok, err := doublestar.Match(glob, name)
	if err != nil {
		return false, fmt.Errorf("glob %q: %w", glob, err)
	}
	return ok, nil
}

// relinked points hard links at names that are still there. Links of
// original entries name paths before strip.
func relinked(kept, original []rootfs.Entry, n int) ([]rootfs.Entry, error) {
	files := map[string]rootfs.Entry{} // first name in the archive → file
	for _, e := range original {
		if e.Type == rootfs.Regular {
			files[e.Path] = e
		}
	}
	now := map[string]string{} // first name in the archive → first name kept
	here := map[string]bool{}
	for _, e := range kept {
		here[e.Path] = e.Type == rootfs.Regular
	}
	out := make([]rootfs.Entry, 0, len(kept))
	for _, e := range kept {
		if e.Type != rootfs.Hardlink {
			out = append(out, e)
			continue
		}
		file, ok := files[e.Link]
		if !ok {
			return nil, fmt.Errorf("hard link %s: %s is not in the archive", e.Path, e.Link)
		}
		if name, ok := strip(e.Link, n); ok && here[name] {
			e.Link = name
		} else if first, ok := now[e.Link]; ok {
			e.Link = first
		} else {
			now[e.Link] = e.Path
			name := e.Path
			e = file
			e.Path = name
		}
		out = append(out, e)
	}
	return out, nil
}

// moved puts entries below p.Into and gives them their owner and mode.
func moved(entries []rootfs.Entry, p recipes.Placement) ([]rootfs.Entry, error) {
	into := strings.Trim(p.Into, "/")
	if into != "" {
		clean, err := cleanPath(into)
		if err != nil {
			return nil, fmt.Errorf("into: %w", err)
		}
		into = clean
	}
	have := map[string]bool{}
	for _, e := range entries {
		if e.Type == rootfs.Directory {
			have[path.Join(into, e.Path)] = true
		}
	}
	out := make([]rootfs.Entry, 0, len(entries)+1)
	folder := func(dir string) {
		if !have[dir] {
			have[dir] = true
			out = append(out, rootfs.Entry{Path: dir, Type: rootfs.Directory, Mode: 0o755, UID: p.UID, GID: p.GID})
		}
	}
	if into != "" && into != "." && len(entries) > 0 {
		folder(into)
	}
	for _, e := range entries {
		e.Path = path.Join(into, e.Path)
		if e.Type == rootfs.Hardlink {
			e.Link = path.Join(into, e.Link)
		}
		e.UID, e.GID = p.UID, p.GID
		e.Mode = mode(e, p.Mode)
		var missing []string
		for dir := path.Dir(e.Path); dir != "." && dir != into; dir = path.Dir(dir) {
			missing = append(missing, dir)
		}
		for _, dir := range slices.Backward(missing) {
			folder(dir)
		}
		out = append(out, e)
	}
	return out, nil
}

// mode is an entry's mode in the image: that of the recipe for files, else
// the archive's without what lets others write, which says more of the
// packer's umask than of the file.
func mode(e rootfs.Entry, set uint32) uint32 {
	switch {
	case e.Type == rootfs.Symlink:
		return 0o777
	case set != 0 && e.Type != rootfs.Directory:
		return set
	case e.Type == rootfs.Directory:
		return e.Mode&0o777&^0o022 | 0o700
	default:
		return e.Mode & 0o777 &^ 0o022
	}
}
