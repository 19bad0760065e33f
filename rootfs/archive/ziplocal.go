package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkNames refuses names that mean a place outside the root, two entries of
// one name, and a file that is another one's folder.
func checkNames(entries []zipEntry) error {
	names := make(map[string]bool, len(entries)) // path → is a directory
	for _, e := range entries {
		if !utf8.ValidString(e.name) {
			return fmt.Errorf("entry name %q is not UTF-8", e.name)
		}
		clean, err := cleanZipPath(e.name)
		if err != nil {
			return err
		}
		dir := strings.HasSuffix(e.name, "/")
		if clean == "." || dir && e.size != 0 {
			return fmt.Errorf("entry name %q", e.name)
		}
		if _, twice := names[clean]; twice {
			return fmt.Errorf("%s is there twice", clean)
		}
		names[clean] = dir
	}
	for name := range names {
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
			if dir, ok := names[name[:i]]; ok && !dir {
				return fmt.Errorf("%s lies below the file %s", name, name[:i])
			}
		}
	}
	return nil
}

// checkTiling holds local headers to the central directory and sees that
// entries follow each other from the first byte to the directory's.
func checkTiling(r io.ReaderAt, entries []zipEntry, end int64) error {
	order := make([]*zipEntry, len(entries))
	for i := range entries {
		order[i] = &entries[i]
	}
	slices.SortFunc(order, func(a, b *zipEntry) int {
		switch {
		case a.header < b.header:
			return -1
		case a.header > b.header:
			return 1
		}
		return 0
	})
	at := int64(0)
	for i, e := range order {
		if e.header != at {
			return fmt.Errorf("%q begins at %d, where %d was expected: bytes between entries, or entries over each other", e.name, e.header, at)
		}
		if err := localHeader(r, e); err != nil {
			return fmt.Errorf("%q: %w", e.name, err)
		}
		next := end
		if i+1 < len(order) {
			next = order[i+1].header
		}
		if e.packed > next-e.data {
			return fmt.Errorf("%q reaches into what follows it", e.name)
		}
		at = e.data + e.packed
		if e.flags&flagDescriptor != 0 {
			n, err := descriptor(r, e, at, next)
			if err != nil {
				return fmt.Errorf("%q: %w", e.name, err)
			}
			at += n
		}
		e.end = at
	}
	if at != end {
		return errors.New("bytes before the central directory that belong to no entry")
	}
	return nil
}

// localHeader reads the header before an entry's data, which must say what
// the central directory says, and sets where the data begins.
func localHeader(r io.ReaderAt, e *zipEntry) error {
	fixed := make([]byte, lenLocal)
	if err := readAt(r, fixed, e.header); err != nil {
		return err
	}
	le := binary.LittleEndian
	if le.Uint32(fixed) != sigLocal {
		return errors.New("no local header where the directory says")
	}
	nameLen, extraLen := int(le.Uint16(fixed[26:])), int(le.Uint16(fixed[28:]))
	rest := make([]byte, nameLen+extraLen)
	if err := readAt(r, rest, e.header+lenLocal); err != nil {
		return err
	}
	if string(rest[:nameLen]) != e.name || le.Uint16(fixed[6:]) != e.flags || le.Uint16(fixed[8:]) != e.method {
		return errors.New("local header and directory disagree")
	}
	e.data = e.header + lenLocal + int64(len(rest))
	crc, packed, size := le.Uint32(fixed[14:]), int64(le.Uint32(fixed[18:])), int64(le.Uint32(fixed[22:]))
	fields := []*int64{}
	for _, field := range []*int64{&size, &packed} {
		if *field == max32 {
			fields = append(fields, field)
		}
	}
	if _, err := readExtra(rest[nameLen:], fields); err != nil {
		return err
	}
	agree := crc == e.crc && packed == e.packed && size == e.size
	later := e.flags&flagDescriptor != 0 && crc == 0 && packed == 0 && size == 0
	if !agree && !later {
		return errors.New("local header and directory disagree on size or checksum")
	}
	return nil
}

// descriptor reads the data descriptor at offset at and returns its length:
// with or without its signature, sizes of 32 or 64 bits.
func descriptor(r io.ReaderAt, e *zipEntry, at, next int64) (int64, error) {
	buf := make([]byte, min(24, next-at))
	if err := readAt(r, buf, at); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	for _, form := range []struct {
		signed bool
		width  int
	}{{true, 4}, {true, 8}, {false, 4}, {false, 8}} {
		rec := buf
		if form.signed {
			if len(rec) < 4 || le.Uint32(rec) != sigDescriptor {
				continue
			}
			rec = rec[4:]
		}
		if len(rec) < 4+2*form.width || le.Uint32(rec) != e.crc {
			continue
		}
		packed, size := int64(le.Uint32(rec[4:])), int64(le.Uint32(rec[4+form.width:]))
		if form.width == 8 {
			packed, size = int64(le.Uint64(rec[4:])), int64(le.Uint64(rec[12:]))
		}
		n := int64(len(buf)-len(rec)) + 4 + 2*int64(form.width)
		// The next entry must begin right behind: that settles which of two
		// forms that both fit was meant.
		if packed == e.packed && size == e.size && at+n == next {
			return n, nil
		}
	}
	return 0, errors.New("its data descriptor disagrees with the directory")
}

// readAt fills buf from offset, or fails.
func readAt(r io.ReaderAt, buf []byte, offset int64) error {
	if offset < 0 {
		return io.ErrUnexpectedEOF
	}
	n, err := r.ReadAt(buf, offset)
	if n == len(buf) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
