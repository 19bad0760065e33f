package archive

import (
	"path"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// spared are the paths that a drop leaves for its keep globs: what they match,
// what symbolic links among it lead to, and the folders that these lie in.
// Links are followed from name to name; one that leads through another link's
// folder is not.
func spared(entries []rootfs.Entry, drop recipes.Drop) (map[string]bool, error) {
	stays := map[string]bool{}
	var todo []rootfs.Entry
	take := func(e rootfs.Entry) {
		if !stays[e.Path] {
			stays[e.Path] = true
			todo = append(todo, e)
		}
	}
	for _, e := range entries {
		for _, glob := range drop.Keep {
			ok, err := match(glob, e.Path)
			if err != nil {
				return nil, err
			}
			if ok {
				take(e)
			}
		}
	}
	for len(todo) > 0 {
		target, ok := leadsTo(todo[0])
		todo = todo[1:]
		if !ok {
			continue
		}
		for _, e := range entries {
			if e.Path == target || strings.HasPrefix(e.Path, target+"/") {
				take(e)
			}
		}
	}
	for name := range stays {
		for dir := path.Dir(name); dir != "." && !stays[dir]; dir = path.Dir(dir) {
			stays[dir] = true
		}
	}
	return stays, nil
}

// leadsTo is the path in the root that a symbolic link names.
func leadsTo(e rootfs.Entry) (target string, ok bool) {
	if e.Type != rootfs.Symlink {
		return "", false
	}
	if path.IsAbs(e.Link) {
		return strings.TrimPrefix(path.Clean(e.Link), "/"), true
	}
	return path.Join(path.Dir(e.Path), e.Link), true
}

// summed tells of a drop that keeps something as one, not path by path: it is
// for packages of which the least part is wanted.
func summed(drop recipes.Drop, owner string, size int64) Dropped {
	return Dropped{Owner: owner, Path: drop.Pattern + " but for " + strings.Join(drop.Keep, " and "), Reason: drop.Reason, Size: size}
}
