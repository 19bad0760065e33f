package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// zipEntry is one member of a zip whose structure was scanned.
type zipEntry struct {
	name   string // as stored; a directory ends in "/"
	method uint16 // 0 stored, 8 deflated
	flags  uint16
	crc    uint32
	packed int64
	size   int64
	header int64 // offset of the local header
	data   int64 // offset of the packed bytes
	mode   uint32
	unix   bool // mode was written on a Unix
	time   int64
	end    int64 // offset behind its data and descriptor
	// record is its entry of the central directory, whole, and wideAt the
	// place of a 64 bit offset in it, 0 where the offset has 32 bits.
	record []byte
	wideAt int
}

// Signatures and fixed lengths of APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16.
const (
	sigLocal, lenLocal         = 0x04034b50, 30
	sigCentral, lenCentral     = 0x02014b50, 46
	sigEnd, lenEnd             = 0x06054b50, 22
	sigEnd64, lenEnd64         = 0x06064b50, 56
	sigLocator64, lenLocator64 = 0x07064b50, 20
	sigDescriptor              = 0x08074b50
	max16, max32               = 0xffff, 0xffffffff
	flagEncrypted              = 1 << 0
	flagDescriptor             = 1 << 3
	flagPatched                = 1 << 5
	flagStrong                 = 1 << 6
	flagMasked                 = 1 << 13
)

// zipEnd is what the end of a zip says of its central directory.
type zipEnd struct {
	count, size, offset int64
}

// scanZip reads the structure of a zip (APPNOTE.TXT) and holds every part of
// it to every other: local headers, data and descriptors fill the file from
// its first byte to the central directory without gap or overlap, each agrees
// with its central entry, and the directory ends where the only end record
// begins, whose comment ends the file. Names that leave the root, or are
// there twice, are refused. So no other reader can find other members.
func scanZip(r io.ReaderAt, size int64, lim Limits) ([]zipEntry, error) {
	entries, err := scanJar(r, size, lim)
	if err != nil {
		return nil, err
	}
	if err := checkNames(entries); err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	return entries, nil
}

// scanJar is scanZip without a look at names: jars that were merged from
// others hold some twice, which matters to who reads them, not to who copies
// entries as they are.
func scanJar(r io.ReaderAt, size int64, lim Limits) ([]zipEntry, error) {
	lim = lim.withDefaults()
	end, err := findEnd(r, size)
	if err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	if end.count > int64(lim.Entries) {
		return nil, &LimitError{Knob: "Entries", Limit: int64(lim.Entries), What: "the number of entries"}
	}
	entries, err := readDirectory(r, end)
	if err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	u := usage{lim: lim}
	for _, e := range entries {
		if err := u.entry(e.name, e.size); err != nil {
			return nil, fmt.Errorf("zip: %w", err)
		}
		if err := lim.ratio(e.name, e.packed, e.size); err != nil {
			return nil, fmt.Errorf("zip: %w", err)
		}
	}
	if err := checkTiling(r, entries, end.offset); err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	return entries, nil
}

// findEnd finds the one end record, and its zip64 form where there is one.
func findEnd(r io.ReaderAt, size int64) (zipEnd, error) {
	tail := make([]byte, min(size, lenEnd+max16))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return zipEnd{}, err
	}
	mark := binary.LittleEndian.AppendUint32(nil, sigEnd)
	at := bytes.LastIndex(tail, mark)
	if at < 0 || len(tail)-at < lenEnd {
		return zipEnd{}, errors.New("no end record: truncated, or not a zip")
	}
	rec := tail[at:]
	le := binary.LittleEndian
	if int(le.Uint16(rec[20:])) != len(rec)-lenEnd {
		return zipEnd{}, errors.New("the file does not end where its end record says")
	}
	if le.Uint32(rec[4:]) != 0 || le.Uint16(rec[8:]) != le.Uint16(rec[10:]) {
		return zipEnd{}, errors.New("it is one part of several")
	}
	end := zipEnd{int64(le.Uint16(rec[10:])), int64(le.Uint32(rec[12:])), int64(le.Uint32(rec[16:]))}
	offset := size - int64(len(rec))
	end, dirEnd, err := findEnd64(r, end, offset)
	if err != nil {
		return zipEnd{}, err
	}
	if end.offset < 0 || end.size < 0 || end.count < 0 || end.offset+end.size != dirEnd {
		return zipEnd{}, errors.New("the central directory does not end at the end record")
	}
	if end.count*lenCentral > end.size {
		return zipEnd{}, errors.New("the central directory is shorter than its entries")
	}
	return end, nil
}

// findEnd64 reads the zip64 end record before the end record at offset, if
// any, and returns where the central directory must end.
func findEnd64(r io.ReaderAt, end zipEnd, offset int64) (zipEnd, int64, error) {
	le := binary.LittleEndian
	loc := make([]byte, lenLocator64)
	sentinel := end.count == max16 || end.size == max32 || end.offset == max32
	if offset < lenLocator64+lenEnd64 {
		if sentinel {
			return end, 0, errors.New("a zip64 end record is missing")
		}
		return end, offset, nil
	}
	if err := readAt(r, loc, offset-lenLocator64); err != nil {
		return end, 0, err
	}
	if le.Uint32(loc) != sigLocator64 {
		if sentinel {
			return end, 0, errors.New("a zip64 end record is missing")
		}
		return end, offset, nil
	}
	at := offset - lenLocator64 - lenEnd64
	if le.Uint32(loc[4:]) != 0 || le.Uint64(loc[8:]) != uint64(at) || le.Uint32(loc[16:]) != 1 {
		return end, 0, errors.New("the zip64 locator does not point at the record before it")
	}
	rec := make([]byte, lenEnd64)
	if err := readAt(r, rec, at); err != nil {
		return end, 0, err
	}
	if le.Uint32(rec) != sigEnd64 || le.Uint64(rec[4:]) != lenEnd64-12 || le.Uint32(rec[16:]) != 0 || le.Uint32(rec[20:]) != 0 ||
		le.Uint64(rec[24:]) != le.Uint64(rec[32:]) {
		return end, 0, errors.New("a malformed zip64 end record")
	}
	long := zipEnd{int64(le.Uint64(rec[32:])), int64(le.Uint64(rec[40:])), int64(le.Uint64(rec[48:]))}
	if end.count != max16 && end.count != long.count || end.size != max32 && end.size != long.size ||
		end.offset != max32 && end.offset != long.offset {
		return end, 0, errors.New("the two end records disagree")
	}
	return long, at, nil
}

// readDirectory reads the central directory, which is nothing but entries.
func readDirectory(r io.ReaderAt, end zipEnd) ([]zipEntry, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(r, end.offset, end.size), 256<<10)
	entries := make([]zipEntry, 0, min(end.count, 1<<16))
	read := int64(0)
	for read < end.size {
		fixed := make([]byte, lenCentral, lenCentral+64)
		if _, err := io.ReadFull(in, fixed); err != nil {
			return nil, fmt.Errorf("central directory: %w", err)
		}
		le := binary.LittleEndian
		if le.Uint32(fixed) != sigCentral {
			return nil, errors.New("central directory: something that is no entry")
		}
		nameLen, extraLen, commentLen := int(le.Uint16(fixed[28:])), int(le.Uint16(fixed[30:])), int(le.Uint16(fixed[32:]))
		record := append(fixed, make([]byte, nameLen+extraLen+commentLen)...)
		if _, err := io.ReadFull(in, record[lenCentral:]); err != nil {
			return nil, fmt.Errorf("central directory: %w", err)
		}
		read += int64(len(record))
		e, err := centralEntry(record, nameLen, extraLen)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if int64(len(entries)) != end.count {
		return nil, fmt.Errorf("%d entries where the end record says %d", len(entries), end.count)
	}
	return entries, nil
}

// centralEntry reads one entry of the central directory.
func centralEntry(fixed []byte, nameLen, extraLen int) (zipEntry, error) {
	le := binary.LittleEndian
	name := string(fixed[lenCentral : lenCentral+nameLen])
	e := zipEntry{
		record: fixed,
		name:   name, flags: le.Uint16(fixed[8:]), method: le.Uint16(fixed[10:]), crc: le.Uint32(fixed[16:]),
		packed: int64(le.Uint32(fixed[20:])), size: int64(le.Uint32(fixed[24:])), header: int64(le.Uint32(fixed[42:])),
		time: dosTime(le.Uint16(fixed[14:]), le.Uint16(fixed[12:])),
	}
	switch {
	case e.flags&(flagEncrypted|flagStrong|flagMasked) != 0:
		return e, fmt.Errorf("%q is encrypted", name)
	case e.flags&flagPatched != 0 || e.method != 0 && e.method != 8:
		return e, fmt.Errorf("%q: compression method %d is not supported", name, e.method)
	case le.Uint16(fixed[34:]) != 0:
		return e, fmt.Errorf("%q begins on another disk", name)
	}
	wide := []*int64{}
	for _, field := range []*int64{&e.size, &e.packed, &e.header} {
		if *field == max32 {
			wide = append(wide, field)
		}
	}
	at, err := readExtra(fixed[lenCentral+nameLen:lenCentral+nameLen+extraLen], wide)
	if err != nil {
		return e, fmt.Errorf("%q: %w", name, err)
	}
	if le.Uint32(fixed[42:]) == max32 {
		e.wideAt = lenCentral + nameLen + at + 8*(len(wide)-1)
	}
	if e.method == 0 && e.packed != e.size {
		return e, fmt.Errorf("%q is stored with two sizes", name)
	}
	if host := fixed[5]; host == 3 || host == 19 {
		e.unix, e.mode = true, le.Uint32(fixed[38:])>>16
	}
	return e, nil
}

// readExtra reads extra fields; the zip64 one fills exactly the wide fields,
// whose place in extra it returns.
func readExtra(extra []byte, wide []*int64) (at int, err error) {
	le := binary.LittleEndian
	whole := len(extra)
	found := len(wide) == 0
	seen64 := false
	for len(extra) > 0 {
		if len(extra) < 4 || len(extra)-4 < int(le.Uint16(extra[2:])) {
			if len(bytes.Trim(extra, "\x00")) == 0 && len(extra) < 4 {
				break // zeros that align the data
			}
			return 0, errors.New("malformed extra fields")
		}
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		field := extra[4 : 4+n]
		extra = extra[4+n:]
		switch id {
		case 0x7075:
			return 0, errors.New("it has a second name")
		case 0x0001:
			if seen64 {
				return 0, errors.New("two zip64 fields")
			}
			seen64 = true
			if found {
				continue
			}
			if len(field) < 8*len(wide) {
				return 0, errors.New("a zip64 field that is too short")
			}
			for i, w := range wide {
				if *w = int64(le.Uint64(field[8*i:])); *w < 0 {
					return 0, errors.New("a zip64 size that is too large")
				}
			}
			found, at = true, whole-len(extra)-n
		}
	}
	if !found {
		return 0, errors.New("a zip64 field is missing")
	}
	return at, nil
}
