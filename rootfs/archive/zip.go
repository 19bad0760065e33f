package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// maxLink bounds the target of a symbolic link in a zip, in bytes.
const maxLink = 4096

// Zip returns the entries of a zip, jar or wheel that is in the store. Their
// content is inflated out of that object whenever it is read.
func Zip(ctx context.Context, s *fetch.Store, blob recipes.Digest, lim Limits) ([]rootfs.Entry, error) {
	if entries, ok := knownZip(s, blob, lim); ok {
		return entries, nil
	}
	f, err := s.Open(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x, err := readZip(ctx, f, lim)
	if err != nil {
		return nil, err
	}
	x.Object = blob
	data, err := x.marshal()
	if err != nil {
		return nil, err
	}
	if err := s.SetRecord("zip", indexVersion+string(blob), data); err != nil {
		return nil, err
	}
	return x.entries(&object{store: s, digest: blob})
}

// knownZip is Zip for an archive that was read before. It is not opened: what
// is read of it is compared with the digests then.
func knownZip(s *fetch.Store, blob recipes.Digest, lim Limits) ([]rootfs.Entry, bool) {
	data, ok := s.Record("zip", indexVersion+string(blob))
	if !ok {
		return nil, false
	}
	x, err := unmarshalIndex(data)
	if err != nil || x.check(lim) != nil || x.Object != blob {
		return nil, false
	}
	entries, err := x.entries(&object{store: s, digest: blob})
	return entries, err == nil
}

// readZip scans a zip and computes the digests of its files.
func readZip(ctx context.Context, f *os.File, lim Limits) (*index, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	members, err := scanZip(f, info.Size(), lim)
	if err != nil {
		return nil, err
	}
	x := &index{Size: info.Size()}
	for i := range members {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := indexMember(f, &members[i])
		if err != nil {
			return nil, fmt.Errorf("zip: %s: %w", members[i].name, err)
		}
		x.Entries = append(x.Entries, e)
	}
	return x, nil
}

// Types of file in the upper half of a Unix zip's external attributes.
const (
	unixType, unixFile, unixDir, unixLink = 0o170000, 0o100000, 0o040000, 0o120000
)

// indexMember makes an index entry of a scanned member.
func indexMember(r io.ReaderAt, m *zipEntry) (indexed, error) {
	clean, err := cleanZipPath(m.name)
	if err != nil {
		return indexed{}, err
	}
	e := indexed{Path: clean, Type: string(rootfs.Regular), Mode: 0o644, Size: m.size, Time: m.time, Offset: m.data, Packed: -1}
	if m.method == 8 {
		e.Packed = m.packed
	}
	if m.unix && m.mode != 0 {
		e.Mode = m.mode & 0o7777
	}
	kind := uint32(0)
	if m.unix {
		kind = m.mode & unixType
	}
	dir := strings.HasSuffix(m.name, "/")
	switch {
	case dir && (kind == 0 || kind == unixDir):
		e.Type, e.Offset, e.Packed = string(rootfs.Directory), 0, -1
		if !m.unix || m.mode == 0 {
			e.Mode = 0o755
		}
		return e, nil
	case dir || kind == unixDir:
		return e, errors.New("its name and its type disagree on whether it is a folder")
	case kind == unixLink:
		return symlinkMember(r, m, e)
	case kind != 0 && kind != unixFile:
		return e, errors.New("it is a device, pipe or socket")
	}
	if e.Mode&0o777 == 0 {
		e.Mode |= 0o644
	}
	sums := newDigests()
	if err := inflate(r, m, sums); err != nil {
		return e, err
	}
	e.SHA256, e.SHA1 = sums.sums()
	return e, nil
}

// symlinkMember reads the target of a symbolic link.
func symlinkMember(r io.ReaderAt, m *zipEntry, e indexed) (indexed, error) {
	if m.size > maxLink || m.size == 0 {
		return e, fmt.Errorf("a symbolic link with a target of %d bytes", m.size)
	}
	var target strings.Builder
	if err := inflate(r, m, &target); err != nil {
		return e, err
	}
	if !utf8.ValidString(target.String()) || strings.ContainsRune(target.String(), 0) {
		return e, fmt.Errorf("a symbolic link to %q", target.String())
	}
	return indexed{Path: e.Path, Type: string(rootfs.Symlink), Mode: 0o777, Link: target.String(), Time: e.Time, Packed: -1}, nil
}

// inflate writes a member's bytes to w; they must fill exactly the sizes that
// the directory gives and have its checksum.
func inflate(r io.ReaderAt, m *zipEntry, w io.Writer) error {
	// A bufio.Reader is a ByteReader, of which flate takes no byte too many:
	// what is left in it was no part of the deflated stream.
	packed := bufio.NewReader(io.NewSectionReader(r, m.data, m.packed))
	in := io.Reader(packed)
	if m.method == 8 {
		in = flate.NewReader(packed)
	}
	crc := crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(w, crc), io.LimitReader(in, m.size+1))
	if err != nil {
		return err
	}
	if n != m.size {
		return fmt.Errorf("its data is not the %d bytes that the directory says", m.size)
	}
	if _, err := packed.ReadByte(); err != io.EOF {
		return errors.New("bytes after its data")
	}
	if crc.Sum32() != m.crc {
		return errors.New("its checksum is wrong")
	}
	return nil
}

// dosTime is the Unix time of a zip's date and time, which have no zone and
// count as UTC.
func dosTime(date, clock uint16) int64 {
	t := time.Date(int(date>>9)+1980, time.Month(date>>5&15), int(date&31), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
	return t.Unix()
}
