package rootfs

import (
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// capability is the only extended attribute that a layer carries.
const capability = "security.capability"

// check holds an entry to what a tree may hold and brings it into its one
// form: setuid and setgid bits go, sticky stays on directories only, links
// have one mode, and fields that do not belong to the type are empty.
func check(e *Entry) error {
	if e.Owner == "" {
		return fmt.Errorf("%s: no owner", e.Path)
	}
	if err := checkPath(e.Path); err != nil {
		return fmt.Errorf("%s: %w", e.Owner, err)
	}
	if e.UID < 0 || e.GID < 0 || e.Size < 0 {
		return fmt.Errorf("%s: %s: negative owner or size", e.Owner, e.Path)
	}
	switch e.Type {
	case Directory:
		e.Mode &= 0o1777
	case Regular:
		e.Mode &= 0o777
	case Symlink, Hardlink:
		e.Mode = 0o777
	default:
		return fmt.Errorf("%s: %s: devices, pipes and sockets have no place in an image", e.Owner, e.Path)
	}
	if err := checkWritable(*e); err != nil {
		return err
	}
	if e.Type != Regular {
		e.Size, e.SHA256, e.SHA1, e.Content, e.XAttrs = 0, "", "", nil, nil
		return checkLink(e)
	}
	e.Link = ""
	if len(e.SHA256) != 64 || strings.Trim(string(e.SHA256), "0123456789abcdef") != "" {
		return fmt.Errorf("%s: %s: %q is not a sha256 in lower-case hexadecimal", e.Owner, e.Path, e.SHA256)
	}
	for name := range e.XAttrs {
		if name != capability {
			return fmt.Errorf("%s: %s: extended attribute %s; only %s is carried", e.Owner, e.Path, name, capability)
		}
	}
	return nil
}

// checkWritable refuses what anyone in the container could change.
func checkWritable(e Entry) error {
	switch {
	case e.Type == Regular && e.Mode&0o002 != 0:
		return fmt.Errorf("%s: %s: file mode %04o lets everyone write it; set mode in the recipe", e.Owner, e.Path, e.Mode)
	case e.Type == Directory && e.Mode&0o1002 == 0o002:
		return fmt.Errorf("%s: %s: directory mode %04o lets everyone write it and lacks the sticky bit; set mode in the recipe", e.Owner, e.Path, e.Mode)
	}
	return nil
}

func checkLink(e *Entry) error {
	if e.Type == Directory {
		e.Link = ""
		return nil
	}
	if e.Link == "" || strings.ContainsRune(e.Link, 0) || !utf8.ValidString(e.Link) {
		return fmt.Errorf("%s: %s: link target %q is empty or not text", e.Owner, e.Path, e.Link)
	}
	return nil
}

// equal says whether two entries of the same path would be the same file. The
// time does not count.
func (t *Tree) equal(a, b Entry) bool { return t.difference(a, b) == "" }

// difference names the first thing in which two entries of a path differ, and
// is empty where they are the same file.
func (t *Tree) difference(a, b Entry) string {
	a, b = t.regular(a), t.regular(b)
	switch {
	case a.Type != b.Type:
		return "types"
	case a.Link != b.Link:
		return "targets"
	case a.SHA256 != b.SHA256:
		return "bytes"
	case a.UID != b.UID || a.GID != b.GID:
		return "ids"
	case a.Mode != b.Mode:
		return "modes"
	case !maps.Equal(a.XAttrs, b.XAttrs):
		return "capabilities"
	}
	return ""
}

// regular stands a hard link's file in for the link.
func (t *Tree) regular(e Entry) Entry {
	if e.Type == Hardlink {
		if target, ok := t.Lookup(e.Link); ok {
			return target
		}
	}
	return e
}

func sameDirectory(a, b Entry) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID
}

// fromRecipe says whether a recipe entry made this, not a package.
func (e Entry) fromRecipe() bool { return strings.HasPrefix(e.Owner, "recipe:") }

// clash is the error of two owners under one path.
func clash(e, old Entry, why string) error {
	return &ClashError{Path: e.Path, Owner: e.Owner, Old: old.Owner, Why: why}
}

// ClashError says that two owners cannot both have a path.
type ClashError struct {
	Path  string
	Owner string // who wanted to put it
	Old   string // who has it
	Why   string
}

func (e *ClashError) Error() string {
	return fmt.Sprintf("%s of %s clashes with %s: %s", e.Path, e.Owner, e.Old, e.Why)
}
