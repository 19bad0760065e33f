package layers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// member is a part of the tar stream that is compressed by itself, so that a
// package that did not change gives the bytes that it gave before.
type member struct {
	entries []rootfs.Entry
	cheap   bool
}

// arrange puts entries into the order of the layer: every directory, sorted;
// then one member for each package in the order of owners, files sorted,
// hard links last; then one member of what recipes made. Hard links get mode,
// ids and time of their file, because engines set these on the shared inode.
func arrange(entries []rootfs.Entry) ([]member, error) {
	files := make(map[string]rootfs.Entry, len(entries))
	for _, e := range entries {
		if _, twice := files[e.Path]; twice {
			return nil, fmt.Errorf("%s is there twice", e.Path)
		}
		files[e.Path] = e
	}
	var dirs []rootfs.Entry
	groups := make(map[string][]rootfs.Entry)
	for _, e := range entries {
		if e.Type == rootfs.Directory {
			dirs = append(dirs, e)
			continue
		}
		if e.Type == rootfs.Hardlink {
			target, ok := files[e.Link]
			if !ok || target.Type != rootfs.Regular || group(target.Owner) != group(e.Owner) {
				return nil, fmt.Errorf("hard link %s: %s is not a file of the same member", e.Path, e.Link)
			}
			e.Mode, e.UID, e.GID, e.ModTime = target.Mode, target.UID, target.GID, target.ModTime
		}
		groups[group(e.Owner)] = append(groups[group(e.Owner)], e)
	}
	members := make([]member, 0, len(groups)+1)
	if len(dirs) > 0 {
		slices.SortFunc(dirs, byPath)
		members = append(members, member{entries: dirs})
	}
	for _, name := range owners(groups) {
		list := groups[name]
		slices.SortFunc(list, byPath)
		members = append(members, member{entries: list, cheap: cheap(list)})
	}
	return members, nil
}

// generated is the group of everything that no package brought. It sorts
// after every purl.
const generated = "\uffff"

// group names the member that an owner's files go to.
func group(owner string) string {
	if strings.HasPrefix(owner, "pkg:") {
		return owner
	}
	return generated
}

func owners(groups map[string][]rootfs.Entry) []string {
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// byPath sorts by path in byte order, hard links after everything else.
func byPath(a, b rootfs.Entry) int {
	return cmp.Or(rank(a)-rank(b), strings.Compare(a.Path, b.Path))
}

func rank(e rootfs.Entry) int {
	if e.Type == rootfs.Hardlink {
		return 1
	}
	return 0
}
