package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Tar returns the entries of an uncompressed tar stream (POSIX pax, ustar,
// GNU long names), in its order. The bytes of all regular files go into one
// store object, of which each entry's Content is a verified section; what was
// found is remembered under key, which must name the stream's content, so
// that the stream is read once. Hard links name the file that holds the
// bytes, an earlier entry. Devices, pipes, sparse files, duplicate paths,
// names that leave the root and headers with two readings are errors.
func Tar(ctx context.Context, s *fetch.Store, key string, open func() (io.ReadCloser, error), lim Limits) ([]rootfs.Entry, error) {
	if entries, ok := knownTar(s, key, open, lim); ok {
		return entries, nil
	}
	x, err := spoolTar(ctx, s, open, lim, "")
	if err != nil {
		return nil, err
	}
	if err := x.remember(s, key); err != nil {
		return nil, err
	}
	return x.entries(spooled(s, x.Object, open, lim))
}

// knownTar is Tar for a stream that was read before.
func knownTar(s *fetch.Store, key string, open func() (io.ReadCloser, error), lim Limits) ([]rootfs.Entry, bool) {
	data, ok := s.Record("tar", indexVersion+key)
	if !ok {
		return nil, false
	}
	x, err := unmarshalIndex(data)
	if err != nil || x.check(lim) != nil {
		return nil, false
	}
	if _, ok := s.Has(x.Object); !ok {
		return nil, false
	}
	o := spooled(s, x.Object, open, lim)
	if string(x.Object) == key {
		o.remake = nil // it lies there bare
	}
	entries, err := x.entries(o)
	return entries, err == nil
}

// remember keeps the index of a stream for knownTar.
func (x *index) remember(s *fetch.Store, key string) error {
	data, err := x.marshal()
	if err != nil {
		return err
	}
	return s.SetRecord("tar", indexVersion+key, data)
}

// spooled is the store object of a stream, made again where it is lost.
func spooled(s *fetch.Store, want recipes.Digest, open func() (io.ReadCloser, error), lim Limits) *object {
	return &object{store: s, digest: want, remake: func(ctx context.Context) error {
		_, err := spoolTar(ctx, s, open, lim, want)
		return err
	}}
}

// bareTar is Tar for an archive that lies in the store uncompressed: its files'
// bytes stay where they are.
func bareTar(ctx context.Context, s *fetch.Store, blob recipes.Digest, lim Limits) ([]rootfs.Entry, error) {
	f, err := s.Open(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x, err := readTar(ctx, bufio.NewReaderSize(f, 128<<10), nil, lim)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	x.Object, x.Size = blob, info.Size()
	if err := x.remember(s, string(blob)); err != nil {
		return nil, err
	}
	return x.entries(&object{store: s, digest: blob})
}

// spoolTar reads the stream into one store object, which must have the digest
// want unless that is empty.
func spoolTar(ctx context.Context, s *fetch.Store, open func() (io.ReadCloser, error), lim Limits, want recipes.Digest) (*index, error) {
	in, err := open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	w, err := s.Create(ctx)
	if err != nil {
		return nil, err
	}
	x, err := readTar(ctx, in, w, lim)
	if err != nil {
		w.Abort()
		return nil, err
	}
	if x.Object, x.Size, err = w.Commit(want); err != nil {
		return nil, err
	}
	return x, nil
}

// tarReader collects the index of one stream.
type tarReader struct {
	usage
	guard  *guard
	spool  io.Writer // nil where the bytes stay in the stream
	offset int64     // in spool
	x      *index
	at     map[string]int // path → position in x.Entries
	buf    []byte         // for copying: one for all files
}

// readTar indexes a tar stream and writes its files' bytes to spool, one
// after the other. Without a spool, offsets are those in the stream.
func readTar(ctx context.Context, in io.Reader, spool io.Writer, lim Limits) (*index, error) {
	g := newGuard(in)
	tr := tar.NewReader(g)
	t := &tarReader{usage: usage{lim: lim.withDefaults()}, guard: g, spool: spool, x: new(index), at: map[string]int{}, buf: make([]byte, 128<<10)}
	count := 0
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("tar entry %d: %w", count+1, err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // the guard let a comment pass
		}
		count++
		if err := t.add(h, tr); err != nil {
			return nil, err
		}
	}
	if err := g.finish(); err != nil {
		return nil, err
	}
	if count != g.entries {
		return nil, fmt.Errorf("tar: %d entries to one reader, %d to another", count, g.entries)
	}
	return t.x, nil
}

// add takes one entry.
func (t *tarReader) add(h *tar.Header, content io.Reader) error {
	name, err := cleanPath(h.Name)
	if err != nil {
		return fmt.Errorf("tar: %w", err)
	}
	if err := t.entry(name, h.Size); err != nil {
		return fmt.Errorf("tar: %w", err)
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return errors.New("tar: the root is not a directory")
		}
		return nil
	}
	e := indexed{Path: name, Mode: uint32(h.Mode) & 0o7777, UID: h.Uid, GID: h.Gid, Packed: -1}
	if sec := h.ModTime.Unix(); sec > 0 {
		e.Time = sec
	}
	if v, ok := h.PAXRecords["SCHILY.xattr.security.capability"]; ok {
		e.XAttrs = map[string][]byte{"security.capability": []byte(v)}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		e.Type = string(rootfs.Regular)
		if err := t.copy(&e, content, h.Size); err != nil {
			return err
		}
	case tar.TypeDir:
		e.Type = string(rootfs.Directory)
	case tar.TypeSymlink:
		if h.Linkname == "" || !utf8.ValidString(h.Linkname) || strings.ContainsRune(h.Linkname, 0) {
			return fmt.Errorf("tar: %s is a symbolic link to %q", name, h.Linkname)
		}
		e.Type, e.Link = string(rootfs.Symlink), h.Linkname
	case tar.TypeLink:
		if err := t.hardLink(&e, h.Linkname); err != nil {
			return err
		}
	default:
		return fmt.Errorf("tar: %s is a device, pipe or unknown type (%q)", name, h.Typeflag)
	}
	return t.put(e)
}

// copy appends a file's bytes to the spool, or finds them in the stream.
func (t *tarReader) copy(e *indexed, content io.Reader, size int64) (err error) {
	sums := newDigests()
	to := io.Writer(sums)
	e.Offset = t.offset
	if t.spool != nil {
		to = io.MultiWriter(t.spool, sums)
	} else if e.Offset, err = t.guard.payloadAt(size); err != nil {
		return fmt.Errorf("tar: content of %s: %w", e.Path, err)
	}
	n, err := io.CopyBuffer(to, content, t.buf)
	if err != nil {
		return fmt.Errorf("tar: content of %s: %w", e.Path, err)
	}
	if n != size {
		return fmt.Errorf("tar: %s has %d bytes, its header says %d", e.Path, n, size)
	}
	e.Size = n
	e.SHA256, e.SHA1 = sums.sums()
	t.offset += n
	return nil
}

// hardLink points an entry at the file that it is another name of. What the
// link says of mode and owner is the file's, as in a file system.
func (t *tarReader) hardLink(e *indexed, target string) error {
	clean, err := cleanPath(target)
	if err != nil {
		return fmt.Errorf("tar: hard link %s: target: %w", e.Path, err)
	}
	i, ok := t.at[clean]
	if !ok {
		return fmt.Errorf("tar: hard link %s: %s is no earlier entry", e.Path, target)
	}
	first := t.x.Entries[i]
	if first.Type == string(rootfs.Hardlink) {
		first = t.x.Entries[t.at[first.Link]]
	}
	if first.Type != string(rootfs.Regular) {
		return fmt.Errorf("tar: hard link %s: %s is not a file", e.Path, target)
	}
	*e = indexed{Path: e.Path, Type: string(rootfs.Hardlink), Link: first.Path, Mode: first.Mode, UID: first.UID, GID: first.GID,
		Time: first.Time, Packed: -1}
	return nil
}

// put keeps the entry. A directory may come twice, the later one counts, as
// it does for tar; anything else may not.
func (t *tarReader) put(e indexed) error {
	if i, twice := t.at[e.Path]; twice {
		if e.Type != string(rootfs.Directory) || t.x.Entries[i].Type != e.Type {
			return fmt.Errorf("tar: %s is there twice", e.Path)
		}
		t.x.Entries[i] = e
		return nil
	}
	t.at[e.Path] = len(t.x.Entries)
	t.x.Entries = append(t.x.Entries, e)
	return nil
}
