package archive

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// rewritten is what is remembered of an archive that lost entries.
type rewritten struct {
	SHA256  recipes.Digest `json:"sha256"` // as it came where nothing matched
	SHA1    string         `json:"sha1"`
	Size    int64          `json:"size"`
	Dropped []Dropped      `json:"dropped"`
	Used    []bool         `json:"used"` // which drops matched
}

// dropper decides for each entry of an archive: id names its rules for the
// cache, drop returns the positions of the rules that take an entry out, and
// reason says why a rule does. Where lenient is set, an archive that is no
// well-formed zip is left as it is.
type dropper struct {
	id      string
	lenient bool

	rules  int
	drop   func(name string) ([]int, error)
	reason func(rule int) string
}

// globs is a dropper of a recipe's patterns.
func globs(drops []recipes.Drop) dropper {
	var id strings.Builder
	for _, d := range drops {
		fmt.Fprintf(&id, "%q %q ", d.Pattern, d.Reason)
	}
	return dropper{id: "globs " + id.String(), rules: len(drops), reason: func(i int) string { return drops[i].Reason },
		drop: func(name string) (hits []int, err error) {
			for i, d := range drops {
				ok, err := match(d.Pattern, name)
				if err != nil {
					return nil, err
				}
				if ok {
					hits = append(hits, i)
				}
			}
			return hits, nil
		}}
}

// dropInside takes entries out of a zip or jar. Those that stay are copied as
// they are, packed bytes and all, in their order, so that the result depends on
// nothing but the archive and the rules; it becomes a store object.
func dropInside(ctx context.Context, s *fetch.Store, e rootfs.Entry, d dropper) (rootfs.Entry, rewritten, error) {
	if e.Type != rootfs.Regular || e.Content == nil {
		return e, rewritten{}, fmt.Errorf("%s is not a file that can be looked into", e.Path)
	}
	key := indexVersion + string(e.SHA256) + " " + d.id
	var r rewritten
	if data, ok := s.Record("jar", key); !ok || json.Unmarshal(data, &r) != nil || !r.at(s, e) {
		var err error
		if r, err = rewrite(ctx, s, e, d); err != nil {
			return e, r, fmt.Errorf("%s: %w", e.Path, err)
		}
		if data, err = json.Marshal(r); err != nil {
			return e, r, err
		}
		if err := s.SetRecord("jar", key, data); err != nil {
			return e, r, err
		}
	}
	if r.SHA256 == e.SHA256 {
		return e, r, nil
	}
	for i := range r.Dropped {
		r.Dropped[i].Path, r.Dropped[i].Original = e.Path+inside+r.Dropped[i].Path, e.SHA256
	}
	original := e
	e.SHA256, e.SHA1, e.Size = r.SHA256, r.SHA1, r.Size
	e.Content = &section{name: e.Path, packed: -1, size: r.Size, sha256: r.SHA256, object: &object{store: s, digest: r.SHA256,
		remake: func(ctx context.Context) error { _, err := rewrite(ctx, s, original, d); return err }}}
	return e, r, nil
}

// at says whether the result is still in the store.
func (r rewritten) at(s *fetch.Store, e rootfs.Entry) bool {
	if r.SHA256 == e.SHA256 {
		return true
	}
	_, ok := s.Has(r.SHA256)
	return ok
}

// rewrite reads the archive and writes it anew where rules match.
func rewrite(ctx context.Context, s *fetch.Store, e rootfs.Entry, d dropper) (rewritten, error) {
	f, closer, err := source(ctx, s, e)
	if err != nil {
		return rewritten{}, err
	}
	defer closer.Close()
	r := rewritten{SHA256: e.SHA256, SHA1: e.SHA1, Size: e.Size, Used: make([]bool, d.rules)}
	members, err := scanJar(f, e.Size, Limits{})
	if err != nil {
		var broken *fs.PathError // the disk's fault, not the archive's
		if d.lenient && !errors.As(err, &broken) {
			return r, nil
		}
		return r, err
	}
	keep := make([]zipEntry, 0, len(members))
	for _, m := range members {
		rules, err := d.drop(strings.TrimSuffix(m.name, "/"))
		if err != nil {
			return r, err
		}
		if len(rules) == 0 {
			keep = append(keep, m)
			continue
		}
		for _, rule := range rules {
			r.Used[rule] = true
		}
		if !strings.HasSuffix(m.name, "/") {
			r.Dropped = append(r.Dropped, Dropped{Path: m.name, Reason: d.reason(rules[0]), Size: m.size})
		}
	}
	if len(keep) == len(members) {
		return r, nil
	}
	return r, r.write(ctx, s, f, keep)
}

// write makes a store object of the kept entries.
func (r *rewritten) write(ctx context.Context, s *fetch.Store, f io.ReaderAt, keep []zipEntry) error {
	w, err := s.Create(ctx)
	if err != nil {
		return err
	}
	sums := newDigests()
	if err := copyRaw(ctx, io.MultiWriter(w, sums), f, keep); err != nil {
		w.Abort()
		return err
	}
	want, sha1 := sums.sums()
	if r.SHA256, r.Size, err = w.Commit(want); err != nil {
		return err
	}
	r.SHA1 = sha1
	return nil
}

// copyRaw writes a zip of the given members: each from its local header to
// the end of its data as it is, then their entries of the central directory
// with new offsets.
func copyRaw(ctx context.Context, w io.Writer, f io.ReaderAt, keep []zipEntry) error {
	moved := make(map[int64]int64, len(keep)) // old offset → new
	at := int64(0)
	order := slices.SortedFunc(slices.Values(keep), func(a, b zipEntry) int { return cmp.Compare(a.header, b.header) })
	for _, m := range order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.Copy(w, io.NewSectionReader(f, m.header, m.end-m.header)); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		moved[m.header] = at
		at += m.end - m.header
	}
	size := int64(0)
	for _, m := range keep {
		record := slices.Clone(m.record)
		if m.wideAt > 0 {
			binary.LittleEndian.PutUint64(record[m.wideAt:], uint64(moved[m.header]))
		} else {
			binary.LittleEndian.PutUint32(record[42:], uint32(moved[m.header])) // never larger than it was
		}
		if _, err := w.Write(record); err != nil {
			return err
		}
		size += int64(len(record))
	}
	_, err := w.Write(endRecord(zipEnd{count: int64(len(keep)), size: size, offset: at}))
	return err
}

// endRecord is the end of a zip, with its zip64 form where numbers ask for it.
func endRecord(end zipEnd) []byte {
	le := binary.LittleEndian
	var b []byte
	if end.count >= max16 || end.size >= max32 || end.offset >= max32 {
		b = le.AppendUint32(b, sigEnd64)
		b = le.AppendUint64(b, lenEnd64-12)
		b = le.AppendUint16(b, 45) // made by and needed: version 4.5
		b = le.AppendUint16(b, 45)
		b = le.AppendUint64(b, 0) // this disk, disk of the directory
		for _, n := range []int64{end.count, end.count, end.size, end.offset} {
			b = le.AppendUint64(b, uint64(n))
		}
		b = le.AppendUint32(b, sigLocator64)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(end.offset+end.size))
		b = le.AppendUint32(b, 1)
	}
	b = le.AppendUint32(b, sigEnd)
	b = le.AppendUint32(b, 0)
	count := uint16(min(end.count, max16))
	b = le.AppendUint16(b, count)
	b = le.AppendUint16(b, count)
	b = le.AppendUint32(b, uint32(min(end.size, max32)))
	b = le.AppendUint32(b, uint32(min(end.offset, max32)))
	return le.AppendUint16(b, 0)
}

// OpenAt opens the content of a regular file for reading at any place, which
// a zip or a program needs. What lies deflated in an archive becomes a store
// object first, so that memory does not grow with it.
func OpenAt(ctx context.Context, s *fetch.Store, e rootfs.Entry) (io.ReaderAt, io.Closer, error) {
	if e.Type != rootfs.Regular || e.Content == nil {
		return nil, nil, fmt.Errorf("%s is not a file that can be looked into", e.Path)
	}
	return source(ctx, s, e)
}

// source opens an entry's content for reading at any place, which a zip
// needs: a section of an object as it is, a deflated one as an object made
// for it.
func source(ctx context.Context, s *fetch.Store, e rootfs.Entry) (io.ReaderAt, io.Closer, error) {
	if part, ok := e.Content.(*section); ok && part.packed < 0 {
		f, err := part.object.open(ctx)
		if err != nil {
			return nil, nil, err
		}
		return io.NewSectionReader(f, part.offset, part.size), f, nil
	}
	if w, ok := e.Content.(whole); ok {
		f, err := w.store.Open(ctx, w.digest)
		return f, f, err
	}
	if err := keep(ctx, s, e); err != nil {
		return nil, nil, err
	}
	f, err := s.Open(ctx, e.SHA256)
	return f, f, err
}
