package unpack

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"strings"
)

// A whiteout is a member that takes away what lies below it in lower layers.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// whiteout removes a path, or all that lower layers have in a folder.
func (u *unpacker) whiteout(dir, base string) error {
	if base == opaque {
		return u.clear(dir)
	}
	name := path.Join(dir, strings.TrimPrefix(base, whiteout))
	if strings.TrimPrefix(base, whiteout) == "" || path.Dir(name) != dir {
		return errors.New("a whiteout of nothing")
	}
	if u.own[name] {
		return fmt.Errorf("the layer has %q and takes it away", name)
	}
	return u.remove(name)
}

// clear removes what lower layers have in a folder; what this layer wrote
// stays.
func (u *unpacker) clear(dir string) error {
	var gone []string
	for name := range u.tree {
		if path.Dir(name) == dir && name != "." && !u.wrote(name) {
			gone = append(gone, name)
		}
	}
	for _, name := range gone {
		if err := u.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// wrote says whether this layer wrote a path or something below it.
func (u *unpacker) wrote(name string) bool {
	if u.own[name] {
		return true
	}
	for own := range u.own {
		if strings.HasPrefix(own, name+"/") {
			return true
		}
	}
	return false
}

// remove takes a path and all below it away.
func (u *unpacker) remove(name string) error {
	if name == "." {
		return errors.New("the root cannot be replaced")
	}
	if e, ok := u.tree[name]; ok && e.Type == tar.TypeDir {
		for other := range u.tree {
			if strings.HasPrefix(other, name+"/") {
				delete(u.tree, other)
			}
		}
	}
	delete(u.tree, name)
	return u.root.RemoveAll(name)
}
