package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// guard watches a tar stream (POSIX.1-2017 pax, and GNU's long names) on its
// way to archive/tar and refuses what two readers could understand
// differently: two readings of one size, extended headers that are stacked or
// mixed, sparse files, data in entries that have none, and anything after the
// end. What passes has one meaning.
type guard struct {
	r io.Reader

	passed  int64 // bytes of the stream
	block   [blockSize]byte
	filled  int
	skip    int64 // bytes of payload and padding still to come
	capture *bytes.Buffer
	// want is how much of the payload is captured, without its padding.
	want int64
	kind byte // type of the extended header being captured

	pax, longName, longLink bool // which extensions wait for their entry
	paxSize                 int64
	zeros                   int
	entries                 int
	err                     error
}

const (
	blockSize = 512
	// maxExtended bounds one extended header, in bytes, as archive/tar does.
	maxExtended = 1 << 20
	// maxOctal is the first size that a header's eleven octal digits do not hold.
	maxOctal = 1 << 33
)

func newGuard(r io.Reader) *guard { return &guard{r: r, paxSize: -1} }

func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.r.Read(p)
	g.passed += int64(n)
	if g.err = g.feed(p[:n]); g.err != nil {
		return 0, g.err
	}
	if err == io.EOF && (g.filled > 0 || g.skip > 0) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// payloadAt says where in the stream the payload lies that comes next, whose
// reader has taken its header and not a byte more.
func (g *guard) payloadAt(size int64) (int64, error) {
	if g.filled != 0 || g.skip != padded(size) {
		return 0, errors.New("its place in the archive is not certain")
	}
	return g.passed, nil
}

// finish reads what follows the end of the archive, which may only be zeros.
func (g *guard) finish() error {
	buf := make([]byte, 32<<10)
	for {
		if _, err := g.Read(buf); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if g.pax || g.longName || g.longLink {
		return errors.New("tar: an extended header without its entry")
	}
	return nil
}

func (g *guard) feed(b []byte) error {
	for len(b) > 0 {
		if g.zeros == 2 {
			if len(bytes.Trim(b, "\x00")) > 0 {
				return errors.New("tar: data after the end of the archive")
			}
			return nil
		}
		if g.skip > 0 {
			n := min(int64(len(b)), g.skip)
			if err := g.payload(b[:n]); err != nil {
				return err
			}
			b = b[n:]
			continue
		}
		n := copy(g.block[g.filled:], b)
		b, g.filled = b[n:], g.filled+n
		if g.filled == blockSize {
			g.filled = 0
			if err := g.header(); err != nil {
				return err
			}
		}
	}
	return nil
}

// payload passes over content; that of an extended header is kept and read.
func (g *guard) payload(b []byte) error {
	g.skip -= int64(len(b))
	if g.capture == nil {
		return nil
	}
	if room := g.want - int64(g.capture.Len()); room > 0 {
		g.capture.Write(b[:min(int64(len(b)), room)])
	}
	if g.skip > 0 {
		return nil
	}
	data := g.capture.Bytes()
	g.capture = nil
	if g.kind == 'x' || g.kind == 'g' {
		return g.records(data)
	}
	return nil
}

// header reads one header block.
func (g *guard) header() error {
	if g.block == ([blockSize]byte{}) {
		g.zeros++
		return nil
	}
	if g.zeros > 0 {
		return errors.New("tar: an entry after an empty block")
	}
	size, err := number(g.block[124:136])
	if err != nil {
		return fmt.Errorf("tar: size of entry %d: %w", g.entries+1, err)
	}
	switch kind := g.block[156]; kind {
	case 'x', 'g', 'L', 'K':
		return g.extended(kind, size)
	default:
		return g.entry(kind, size)
	}
}

// extended begins an extended header, which must be the only one of its kind
// before an entry; pax and GNU's are not mixed.
func (g *guard) extended(kind byte, size int64) error {
	stacked := g.pax || kind == 'L' && g.longName || kind == 'K' && g.longLink ||
		(kind == 'x' || kind == 'g') && (g.longName || g.longLink)
	if stacked {
		return fmt.Errorf("tar: extended header %q follows another one", kind)
	}
	if size > maxExtended {
		return fmt.Errorf("tar: an extended header of %d bytes", size)
	}
	g.pax = g.pax || kind == 'x'
	g.longName = g.longName || kind == 'L'
	g.longLink = g.longLink || kind == 'K'
	if size == 0 {
		return fmt.Errorf("tar: extended header %q is empty", kind)
	}
	g.kind, g.want, g.capture = kind, size, new(bytes.Buffer)
	g.skip = padded(size)
	return nil
}

// entry passes over a real entry.
func (g *guard) entry(kind byte, size int64) error {
	if kind == 'S' {
		return errors.New("tar: a sparse file")
	}
	if g.paxSize >= 0 {
		if g.paxSize != size && g.paxSize < maxOctal {
			return fmt.Errorf("tar: entry %d has two sizes, %d and %d", g.entries+1, size, g.paxSize)
		}
		size = g.paxSize
	}
	if kind >= '1' && kind <= '6' && size != 0 {
		return fmt.Errorf("tar: entry %d of type %q has %d bytes of data", g.entries+1, kind, size)
	}
	g.entries++
	g.pax, g.longName, g.longLink, g.paxSize = false, false, false, -1
	g.skip = padded(size)
	return nil
}

// records reads the records of a pax header: "LENGTH KEY=VALUE\n" each.
func (g *guard) records(data []byte) error {
	seen := map[string]bool{}
	for len(data) > 0 {
		length, rest, ok := bytes.Cut(data, []byte(" "))
		n, err := strconv.Atoi(string(length))
		if !ok || err != nil || n <= len(length)+1 || n > len(data) || data[n-1] != '\n' || len(rest) == 0 {
			return errors.New("tar: a malformed pax record")
		}
		key, value, ok := strings.Cut(string(data[len(length)+1:n-1]), "=")
		if !ok || key == "" || seen[key] {
			return fmt.Errorf("tar: malformed or repeated pax record %q", key)
		}
		seen[key] = true
		data = data[n:]
		if err := g.record(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) record(key, value string) error {
	switch {
	case g.kind == 'g' && key != "comment":
		// Some readers apply global records to every entry, some to none.
		return fmt.Errorf("tar: global pax record %q", key)
	case strings.HasPrefix(key, "GNU.sparse."):
		return errors.New("tar: a sparse file")
	case key == "size":
		size, err := strconv.ParseInt(value, 10, 64)
		if err != nil || size < 0 || strconv.FormatInt(size, 10) != value {
			return fmt.Errorf("tar: pax size %q", value)
		}
		g.paxSize = size
	}
	return nil
}

// number reads a numeric header field: octal, or base 256 where the first
// bit is set.
func number(field []byte) (int64, error) {
	if field[0]&0x80 != 0 {
		n := int64(field[0] & 0x7f)
		for _, b := range field[1:] {
			if n > 1<<54 {
				return 0, errors.New("it is too large or negative")
			}
			n = n<<8 | int64(b)
		}
		return n, nil
	}
	text := strings.Trim(string(field), " \x00")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 8, 62)
	if err != nil {
		return 0, fmt.Errorf("%q is not octal", text)
	}
	return int64(n), nil
}

func padded(size int64) int64 { return (size + blockSize - 1) / blockSize * blockSize }
