package rootfs

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// maxLinks bounds how many symbolic links one path may pass, as Linux does.
const maxLinks = 40

// whiteout is the prefix by which a layer deletes names of the layers below.
const whiteout = ".wh."

// checkPath accepts the paths that a tree can hold: relative to the root,
// clean, valid UTF-8 (tar and JSON both ask for it) and no whiteout.
func checkPath(p string) error {
	switch {
	case p == "" || p == ".":
		return fmt.Errorf("path %q: the root is not an entry", p)
	case strings.HasPrefix(p, "/") || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../"):
		return fmt.Errorf("path %q is not a clean path below the root", p)
	case strings.ContainsRune(p, 0) || !utf8.ValidString(p):
		return fmt.Errorf("path %q holds bytes that are not UTF-8 or a zero byte", p)
	}
	for name := range strings.SplitSeq(p, "/") {
		if strings.HasPrefix(name, whiteout) {
			return fmt.Errorf("path %q: a name that begins with %s would delete files of the layers below", p, whiteout)
		}
	}
	return nil
}

// resolve walks p in the merged view and follows every symbolic link on the
// way, the last name's too where last is set. Names that do not exist are
// kept as they are. A link that leaves the root is an error.
func (t *Tree) resolve(p string, last bool) (string, error) {
	todo := strings.Split(p, "/")
	var done []string
	links := 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if len(done) == 0 {
				return "", fmt.Errorf("%s: a symbolic link on the way leaves the root", p)
			}
			done = done[:len(done)-1]
			continue
		}
		here := strings.Join(append(done[:len(done):len(done)], name), "/")
		e, ok := t.Lookup(here)
		if !ok || e.Type == Directory || (len(todo) == 0 && !last) {
			done = append(done, name)
			continue
		}
		if e.Type != Symlink {
			if len(todo) > 0 {
				return "", fmt.Errorf("%s: %s is a file of %s, not a directory", p, here, e.Owner)
			}
			return here, nil
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: more than %d symbolic links on the way", p, maxLinks)
		}
		if strings.HasPrefix(e.Link, "/") {
			done = nil
		}
		todo = append(strings.Split(e.Link, "/"), todo...)
	}
	return strings.Join(done, "/"), nil
}

// Follow returns the entry that p names once every symbolic and hard link is
// followed, in the merged view. It is false where there is none.
func (t *Tree) Follow(p string) (Entry, bool) {
	at, err := t.resolve(strings.Trim(path.Clean("/"+p), "/"), true)
	if err != nil {
		return Entry{}, false
	}
	e, ok := t.Lookup(at)
	if ok && e.Type == Hardlink {
		e, ok = t.Lookup(e.Link)
	}
	return e, ok
}

// parents yields the directories above p, the outermost first.
func parents(p string) []string {
	var dirs []string
	for i := range len(p) {
		if p[i] == '/' {
			dirs = append(dirs, p[:i])
		}
	}
	return dirs
}
