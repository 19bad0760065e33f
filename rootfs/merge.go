package rootfs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tree is a file tree under construction on top of a lower, finished one. Its
// own entries become one layer; what the lower tree holds is seen through it.
//
// The rules of merging, in short: directories merge; another entry under the
// same path is an error unless it is equal, or one package replaces the other;
// only a State entry may replace what the lower tree holds, but for links that
// a generator made there, which give way to packages; a symbolic link to
// a directory is never replaced by a directory, what goes below it lands where
// it points; nothing lands through a link that leaves the root.
//
// A Tree is not safe for concurrent use while it is changed.
type Tree struct {
	// Replaces says whether a package may overwrite a file of another, by
	// their owners. Nil means never.
	Replaces func(newOwner, oldOwner string) bool

	lower *Tree
	own   map[string]Entry
	// implied marks directories that nobody brought but that hold something.
	implied map[string]bool
	// lost keeps regular files that were left out (equal to what is there,
	// or replaced), because hard links of the same archive may name them.
	lost map[lostFile]Entry
}

type lostFile struct{ owner, path string }

// NewTree begins an empty tree on top of lower, which may be nil and must not
// change any more.
func NewTree(lower *Tree) *Tree {
	return &Tree{
		lower:   lower,
		own:     make(map[string]Entry),
		implied: make(map[string]bool),
		lost:    make(map[lostFile]Entry),
	}
}

// Lookup returns the entry at exactly this path in the merged view; links are
// not followed.
func (t *Tree) Lookup(path string) (Entry, bool) {
	for ; t != nil; t = t.lower {
		if e, ok := t.own[path]; ok {
			return e, true
		}
	}
	return Entry{}, false
}

// Add puts an entry into the tree. Symbolic links above it are resolved in
// the merged view, so that lib/x lands at usr/lib/x where lib is a link. An
// error says which path of which owner clashes with what.
func (t *Tree) Add(e Entry) error {
	if err := check(&e); err != nil {
		return err
	}
	at, err := t.resolve(e.Path, e.Type == Directory)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Owner, err)
	}
	if at == "" { // a directory entry that a link leads back to the root
		return nil
	}
	if err := checkPath(at); err != nil {
		return fmt.Errorf("%s: %w", e.Owner, err)
	}
	e.Path = at
	if e.Type == Hardlink {
		if e, err = t.link(e); err != nil {
			return err
		}
	}
	if e.Type == Directory {
		return t.addDirectory(e)
	}
	return t.addFile(e)
}

// addDirectory merges a directory. What is there already keeps its mode and
// owner against packages, as dpkg has it; a recipe's own directory overrides
// packages of the same layer, and is an error where it differs from the lower
// tree's.
func (t *Tree) addDirectory(e Entry) error {
	old, ok := t.Lookup(e.Path)
	if !ok {
		t.put(e)
		return nil
	}
	if old.Type != Directory {
		return clash(e, old, "a directory cannot take the place of a file")
	}
	_, mine := t.own[e.Path]
	switch {
	case mine && t.implied[e.Path]:
		t.put(e)
	case sameDirectory(e, old):
	case mine && e.fromRecipe() && old.fromRecipe():
		return clash(e, old, "two recipe entries give it different modes or owners")
	case mine && e.fromRecipe(), !mine && e.State:
		t.put(e)
	case !mine && e.fromRecipe():
		return clash(e, old, "the parent has it with another mode or owner")
	}
	return nil
}

// addFile puts a regular file or a link, unless what is there stays.
func (t *Tree) addFile(e Entry) error {
	old, ok := t.Lookup(e.Path)
	if !ok {
		t.put(e)
		return nil
	}
	if old.Type == Directory {
		return clash(e, old, "a file cannot take the place of a directory")
	}
	if t.equal(e, old) {
		t.lose(e)
		return nil
	}
	_, mine := t.own[e.Path]
	low, below := t.lower.Lookup(e.Path)
	switch {
	case !mine && (e.State || below && generatedLink(low)):
		t.put(e)
	case below && !e.State:
		return clash(e, low, "it belongs to the parent, and only state may replace that")
	case t.Replaces != nil && t.Replaces(e.Owner, old.Owner):
		t.take(e.Path)
		t.put(e)
	case t.Replaces != nil && t.Replaces(old.Owner, e.Owner):
		t.lose(e)
	default:
		return clash(e, old, "both bring it, with different "+t.difference(e, old))
	}
	return nil
}

// generatedLink tells a link that a generator made in the parent's state,
// such as one of busybox's applets: it gives way to a package's own program.
func generatedLink(e Entry) bool { return e.State && e.Type == Symlink }

// link resolves the target of a hard link: it must be a file that the same
// owner put into this tree before. Where that file was left out in favour of
// another one, the link becomes a file of its own.
func (t *Tree) link(e Entry) (Entry, error) {
	if err := checkPath(e.Link); err != nil {
		return e, fmt.Errorf("%s: hard link %s: target %w", e.Owner, e.Path, err)
	}
	to, err := t.resolve(e.Link, false)
	if err != nil {
		return e, fmt.Errorf("%s: hard link %s: target %w", e.Owner, e.Path, err)
	}
	target, ok := t.own[to]
	if ok && target.Type == Hardlink {
		target = t.own[target.Link]
	}
	if ok && target.Owner == e.Owner && target.Type == Regular && target.Path != e.Path {
		e.Link = target.Path
		return e, nil
	}
	if target, ok := t.lost[lostFile{e.Owner, to}]; ok {
		target.Path, target.State = e.Path, e.State
		return target, nil
	}
	return e, fmt.Errorf("%s: hard link %s: %s is not an earlier file of the same package", e.Owner, e.Path, e.Link)
}

// put stores an entry and the directories above it that nobody brought yet.
func (t *Tree) put(e Entry) {
	t.own[e.Path] = e
	delete(t.implied, e.Path)
	for _, dir := range parents(e.Path) {
		old, ok := t.Lookup(dir)
		if !ok {
			t.own[dir] = Entry{Path: dir, Type: Directory, Mode: 0o755, Owner: e.Owner}
			t.implied[dir] = true
		} else if t.implied[dir] && e.Owner < old.Owner {
			old.Owner = e.Owner // the same whatever the order
			t.own[dir] = old
		}
	}
}

// lose remembers a regular file that is left out.
func (t *Tree) lose(e Entry) {
	if e.Type == Regular {
		t.lost[lostFile{e.Owner, e.Path}] = e
	}
}

// take removes one own entry that is not a directory. The first hard link to
// a file that goes takes over its content.
func (t *Tree) take(path string) {
	gone := t.own[path]
	delete(t.own, path)
	if gone.Type != Regular {
		return
	}
	t.lose(gone)
	var links []string
	for p, e := range t.own {
		if e.Type == Hardlink && e.Link == path {
			links = append(links, p)
		}
	}
	slices.Sort(links)
	for i, p := range links {
		e := t.own[p]
		if i == 0 {
			state := e.State
			e = gone
			e.Path, e.State = p, state
		} else {
			e.Link = links[0]
		}
		t.own[p] = e
	}
}

// Own returns what this tree adds, sorted by path in byte order, with every
// directory above an entry: as the lower tree has it, or as it was added.
func (t *Tree) Own() []Entry {
	all := make(map[string]Entry, len(t.own))
	for p, e := range t.own {
		if !t.implied[p] {
			all[p] = e
		}
	}
	for p := range maps.Clone(all) {
		for _, dir := range parents(p) {
			if _, ok := all[dir]; !ok {
				all[dir], _ = t.Lookup(dir)
			}
		}
	}
	return sorted(all)
}

// All returns the merged view, sorted by path in byte order.
func (t *Tree) All() []Entry {
	all := make(map[string]Entry)
	for ; t != nil; t = t.lower {
		for p, e := range t.own {
			if _, above := all[p]; !above {
				all[p] = e
			}
		}
	}
	return sorted(all)
}

func sorted(m map[string]Entry) []Entry {
	list := slices.Collect(maps.Values(m))
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return list
}
