package sbom

import (
	"path"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

// view is the layers laid over each other: a path belongs to the last layer
// that has it.
type view struct {
	layers []Layer
	at     map[string]located
}

// located is a path as the image shows it.
type located struct {
	*Path
	layer int
}

func newView(layers []Layer) *view {
	n := 0
	for _, l := range layers {
		n += len(l.Fragment.Paths)
	}
	v := &view{layers: layers, at: make(map[string]located, n)}
	for i, l := range layers {
		for j := range l.Fragment.Paths {
			p := &l.Fragment.Paths[j]
			if old, ok := v.at[p.Path]; ok && isDir(p) && isDir(old.Path) {
				continue // repeated parents of a later layer own nothing
			}
			v.at[p.Path] = located{p, i}
		}
	}
	return v
}

func isDir(p *Path) bool { return p.Type == rootfs.Directory }

func (v *view) owner(l located) string { return v.layers[l.layer].Fragment.Owners[l.Owner] }

// paths lists all paths, sorted.
func (v *view) paths() []string {
	paths := make([]string, 0, len(v.at))
	for p := range v.at {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// owned is what one owner has in the image.
type owned struct {
	files []*Path
	// links and directories are counted, not listed: SPDX knows only files.
	links, directories int
	inherited          bool
}

// byOwner sorts the paths by their owners.
func (v *view) byOwner() map[string]*owned {
	owners := map[string]*owned{}
	for _, p := range v.paths() {
		l := v.at[p]
		name := v.owner(l)
		o, ok := owners[name]
		if !ok {
			o = &owned{inherited: true}
			owners[name] = o
		}
		o.inherited = o.inherited && v.layers[l.layer].Inherited
		switch l.Type {
		case rootfs.Directory:
			o.directories++
		case rootfs.Symlink:
			o.links++
		default:
			o.files = append(o.files, l.Path)
		}
	}
	return owners
}

// maxLinks bounds how many symbolic links of one path are followed.
const maxLinks = 16

// follow finds what a path names once links are followed.
func (v *view) follow(p string) (located, bool) {
	for range maxLinks {
		p = v.unlinked(p)
		l, ok := v.at[p]
		if !ok || l.Type != rootfs.Symlink {
			return l, ok
		}
		p = target(p, l.Link)
	}
	return located{}, false
}

// unlinked replaces the first folder of a path that is a link.
func (v *view) unlinked(p string) string {
	for i := range p {
		if p[i] != '/' {
			continue
		}
		if l, ok := v.at[p[:i]]; ok && l.Type == rootfs.Symlink {
			return path.Join(target(p[:i], l.Link), p[i:])
		}
	}
	return p
}

func target(link, to string) string {
	if !strings.HasPrefix(to, "/") {
		to = path.Join(path.Dir(link), to)
	}
	return strings.TrimPrefix(path.Clean("/"+to), "/")
}

// stated finds the licence that the file at a path states.
func (v *view) stated(p string) (Stated, bool) {
	l, ok := v.follow(p)
	if !ok {
		return Stated{}, false
	}
	s, ok := v.layers[l.layer].Fragment.Licenses[l.Path.Path]
	return s, ok
}

// shown is a component with the owner of the file that shows it.
type shown struct {
	evidence.Component
	owner     string
	inherited bool
}

// components lists what the files that are still there show, in the order of
// their paths.
func (v *view) components() []shown {
	var out []shown
	for i, l := range v.layers {
		for _, c := range l.Fragment.Components {
			if at, ok := v.at[c.Path]; ok && at.layer == i {
				out = append(out, shown{c, v.owner(at), l.Inherited})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b shown) int { return strings.Compare(a.Path, b.Path) })
	return out
}
