// Package unpack lays the layers of an image out in a private folder, so that
// an OCI runtime can start it. What a layer says is taken as data: nothing is
// written outside of the folder, through a link that leaves it or onto a
// device, and every byte is compared with its digests on the way.
//
// https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
package unpack

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// Layer is one layer of an image as a file: a tar, as it is or compressed by
// gzip or zstd.
type Layer struct {
	File   string
	Digest recipes.Digest // of the file
	DiffID recipes.Digest // of the tar in it
	Size   int64          // of the file, in bytes
}

// Entry is what the layers say of a path. On disk it may differ: setuid bits
// are never written, and owners only where Options ask for them.
type Entry struct {
	Type     byte   // as in archive/tar
	Mode     uint32 // permission bits with setuid, setgid and sticky
	UID, GID int
	Size     int64
	Link     string
	// Capabilities says that the file carries a security.capability.
	Capabilities bool
}

// Tree is what the layers hold together, by path without leading slash; the
// root is ".".
type Tree map[string]Entry

// Options say how layers are laid out.
type Options struct {
	// Owners writes owners and extended attributes, which needs root or a
	// user namespace that maps all ids of the image. Otherwise everything
	// belongs to whoever unpacks.
	Owners bool
}

// ErrDigest says that a layer is not what its image says.
var ErrDigest = errors.New("its bytes are not those that the image names")

// Image lays layers out in an empty folder, the first one lowest.
func Image(ctx context.Context, dir string, layers []Layer, o Options) (_ Tree, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	u := &unpacker{root: root, options: o, tree: Tree{".": {Type: tar.TypeDir, Mode: 0o755}}, buffer: make([]byte, 256<<10)}
	for i, l := range layers {
		if err := u.layer(ctx, l); err != nil {
			return nil, fmt.Errorf("layer %d (sha256:%s): %w", i+1, l.Digest, err)
		}
	}
	return u.tree, u.folders()
}

type unpacker struct {
	root    *os.Root
	options Options
	tree    Tree
	own     map[string]bool // what the layer in hand has written
	buffer  []byte
}

// layer reads one layer to its end, past the end of the tar too, so that both
// digests cover all of it.
func (u *unpacker) layer(ctx context.Context, l Layer) (err error) {
	f, err := os.Open(l.File)
	if err != nil {
		return err
	}
	defer f.Close()
	packed, plain := sha256.New(), sha256.New()
	in := io.TeeReader(interrupt.Reader(ctx, io.LimitReader(f, l.Size+1)), packed)
	z, err := archive.Reader(in)
	if err != nil {
		return err
	}
	defer z.Close()
	content := io.TeeReader(z, plain)
	if err := u.entries(tar.NewReader(content)); err != nil {
		return err
	}
	for _, rest := range []io.Reader{content, in} {
		if _, err := io.CopyBuffer(io.Discard, onlyReader{rest}, u.buffer); err != nil {
			return err
		}
	}
	if hex.EncodeToString(packed.Sum(nil)) != string(l.Digest) || hex.EncodeToString(plain.Sum(nil)) != string(l.DiffID) {
		return ErrDigest
	}
	return nil
}

func (u *unpacker) entries(tr *tar.Reader) error {
	u.own = map[string]bool{}
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := u.entry(h, tr); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

// entry takes one member.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
		return errors.New("the name leaves the image")
	}
	if base := path.Base(name); strings.HasPrefix(base, whiteout) {
		return u.whiteout(path.Dir(name), base)
	}
	e := Entry{Type: h.Typeflag, Mode: uint32(h.Mode) & 0o7777, UID: h.Uid, GID: h.Gid, Size: h.Size, Link: h.Linkname}
	_, e.Capabilities = h.PAXRecords["SCHILY.xattr.security.capability"]
	if err := u.makeRoom(name, e.Type); err != nil {
		return err
	}
	if err := u.write(name, &e, content); err != nil {
		return err
	}
	if u.options.Owners && e.Type != tar.TypeLink && onDisk(e.Type) {
		if err := u.root.Lchown(name, e.UID, e.GID); err != nil {
			return fmt.Errorf("owner %d:%d: %w", e.UID, e.GID, err)
		}
		if err := u.attributes(name, e, h.PAXRecords); err != nil {
			return err
		}
	}
	if e.Type == tar.TypeReg {
		// After the owner, since a change of owner takes bits away.
		if err := u.root.Chmod(name, os.FileMode(e.Mode&0o777)); err != nil {
			return err
		}
	}
	u.tree[name] = e
	u.own[name] = true
	return nil
}

func (u *unpacker) write(name string, e *Entry, content io.Reader) error {
	switch e.Type {
	case tar.TypeReg:
		return u.file(name, content)
	case tar.TypeDir:
		if err := u.root.Mkdir(name, 0o700); !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	case tar.TypeSymlink:
		return u.root.Symlink(e.Link, name)
	case tar.TypeLink:
		target := path.Clean(e.Link)
		old, ok := u.tree[target]
		if !ok || !onDisk(old.Type) || old.Type == tar.TypeDir {
			return fmt.Errorf("hard link to %q, which is no file before it", e.Link)
		}
		*e = old
		return u.root.Link(target, name)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return nil // told of in the tree; not made
	}
	return fmt.Errorf("type %q of member", e.Type)
}

// onDisk says whether a type is written.
func onDisk(t byte) bool { return t != tar.TypeChar && t != tar.TypeBlock && t != tar.TypeFifo }

func (u *unpacker) file(name string, content io.Reader) error {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{f}, content, u.buffer)
	return errors.Join(err, f.Close())
}

// makeRoom removes what a member replaces, and makes the folders above it
// that no layer names.
func (u *unpacker) makeRoom(name string, as byte) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := u.tree[dir]; ok {
			break
		}
		u.tree[dir] = Entry{Type: tar.TypeDir, Mode: 0o755}
		u.own[dir] = true
	}
	if dir := path.Dir(name); dir != "." {
		if err := u.root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	old, ok := u.tree[name]
	if !ok || old.Type == tar.TypeDir && as == tar.TypeDir {
		return nil
	}
	return u.remove(name)
}

// folders gives the folders their modes, the deepest first: until then they
// are open to whoever unpacks.
func (u *unpacker) folders() error {
	var names []string
	for name, e := range u.tree {
		if e.Type == tar.TypeDir {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(b, "/"), strings.Count(a, "/")), cmp.Compare(a, b))
	})
	for _, name := range names {
		mode := os.FileMode(u.tree[name].Mode & 0o777)
		if u.tree[name].Mode&0o1000 != 0 {
			mode |= os.ModeSticky
		}
		if err := u.root.Chmod(name, mode); err != nil {
			return err
		}
	}
	return nil
}

// onlyReader and onlyWriter hide methods by which io.CopyBuffer would leave
// its buffer aside.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }
