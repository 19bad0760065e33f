package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// The tar format is written here rather than by the standard library, so that
// no Go release can change a digest. Numeric owners, empty names; pax records
// only for what ustar cannot say, sorted by key.

const block = 512

// Where the fields of a ustar header lie.
const (
	nameLen, linkLen, prefixLen = 100, 100, 155
	maxOctal7                   = 1<<21 - 1 // what seven octal digits hold
	maxOctal11                  = 1<<33 - 1
)

// tarWriter writes entries as a tar stream.
type tarWriter struct {
	w   io.Writer
	opt Options
	buf []byte // for copying content
}

func newTarWriter(w io.Writer, o Options) *tarWriter {
	return &tarWriter{w: w, opt: o, buf: make([]byte, 256<<10)}
}

// trailer ends the stream: two blocks of zeros.
func (t *tarWriter) trailer() error {
	_, err := t.w.Write(make([]byte, 2*block))
	return err
}

// member writes the entries of a member.
func (t *tarWriter) member(ctx context.Context, m member) error {
	for _, e := range m.entries {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := t.entry(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// entry writes one entry with its content.
func (t *tarWriter) entry(ctx context.Context, e rootfs.Entry) error {
	if _, err := t.w.Write(header(e, t.time(e))); err != nil {
		return err
	}
	if e.Type != rootfs.Regular || e.Size == 0 && e.Content == nil {
		return nil
	}
	if err := t.content(ctx, e); err != nil {
		return fmt.Errorf("%s of %s: %w", e.Path, e.Owner, err)
	}
	return nil
}

// content copies a file's bytes, holds them to size and digest, and pads.
// Content that holds itself to the digest is not hashed again.
func (t *tarWriter) content(ctx context.Context, e rootfs.Entry) (err error) {
	if e.Content == nil {
		return errors.New("its bytes are not at hand")
	}
	r, err := e.Content.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	hash, to := sha256.New(), t.w
	held, ok := e.Content.(rootfs.Held)
	known := ok && held.Holds() == e.SHA256
	if !known {
		to = io.MultiWriter(hash, t.w)
	}
	n, err := io.CopyBuffer(onlyWriter{to}, onlyReader{io.LimitReader(r, e.Size+1)}, t.buf)
	if err != nil {
		return err
	}
	got := e.SHA256
	if !known {
		got = recipes.Digest(hex.EncodeToString(hash.Sum(nil)))
	}
	if got != e.SHA256 || n != e.Size {
		return fmt.Errorf("holds sha256 %s in %d bytes, not %s in %d", got, n, e.SHA256, e.Size)
	}
	_, err = t.w.Write(make([]byte, padding(n)))
	return err
}

// onlyReader and onlyWriter hide the shortcuts that would bypass the buffer.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

func padding(n int64) int64 { return -n & (block - 1) }

// time is the whole second that an entry carries.
func (t *tarWriter) time(e rootfs.Entry) int64 {
	switch at := e.ModTime; {
	case !t.opt.SourceDate.IsZero():
		return max(0, t.opt.SourceDate.Unix())
	case e.Type == rootfs.Directory || at.IsZero():
		return plainTime.Unix()
	case !t.opt.Epoch.IsZero() && at.After(t.opt.Epoch):
		return max(0, t.opt.Epoch.Unix())
	default:
		return max(0, at.Unix())
	}
}

// header gives the header blocks of an entry: the pax extended header where
// one is needed, then ustar.
func header(e rootfs.Entry, at int64) []byte {
	name, size := e.Path, int64(0)
	flag := map[rootfs.Type]byte{rootfs.Regular: '0', rootfs.Hardlink: '1', rootfs.Symlink: '2', rootfs.Directory: '5'}[e.Type]
	switch e.Type {
	case rootfs.Directory:
		name += "/"
	case rootfs.Regular:
		size = e.Size
	}
	var records []string
	need := func(is bool, key, value string) {
		if is {
			records = append(records, record(key, value))
		}
	}
	prefix, short, fits := split(name)
	need(!fits, "path", name)
	need(len(e.Link) > linkLen || !ascii(e.Link), "linkpath", e.Link)
	need(size > maxOctal11, "size", strconv.FormatInt(size, 10))
	need(e.UID > maxOctal7, "uid", strconv.Itoa(e.UID))
	need(e.GID > maxOctal7, "gid", strconv.Itoa(e.GID))
	need(at > maxOctal11, "mtime", strconv.FormatInt(at, 10))
	for key, value := range e.XAttrs {
		need(true, "SCHILY.xattr."+key, value)
	}
	var out []byte
	if len(records) > 0 {
		slices.SortFunc(records, byKey)
		data := strings.Join(records, "")
		out = ustar(fields{name: "././@PaxHeader", flag: 'x', mode: 0o644, size: int64(len(data))})
		out = append(out, data...)
		out = append(out, make([]byte, padding(int64(len(data))))...)
	}
	return append(out, ustar(fields{
		prefix: prefix, name: short, flag: flag, mode: e.Mode, size: size, time: at,
		uid: e.UID, gid: e.GID, link: e.Link,
	})...)
}

// fields are what a ustar header says. What does not fit is cut: a pax record
// says it whole.
type fields struct {
	prefix, name, link string
	flag               byte
	mode               uint32
	uid, gid           int
	size, time         int64
}

// ustar lays out one header block (POSIX.1-1988, 10.1.1).
func ustar(f fields) []byte {
	b := make([]byte, block)
	copy(b[0:nameLen], plain(f.name))
	octal(b[100:108], int64(f.mode), maxOctal7)
	octal(b[108:116], int64(f.uid), maxOctal7)
	octal(b[116:124], int64(f.gid), maxOctal7)
	octal(b[124:136], f.size, maxOctal11)
	octal(b[136:148], f.time, maxOctal11)
	b[156] = f.flag
	copy(b[157:257], plain(f.link))
	copy(b[257:265], "ustar\x0000")
	octal(b[329:337], 0, maxOctal7)
	octal(b[337:345], 0, maxOctal7)
	copy(b[345:345+prefixLen], plain(f.prefix))
	sum := int64(8 * ' ')
	for _, c := range b {
		sum += int64(c)
	}
	octal(b[148:155], sum, maxOctal7)
	b[155] = ' '
	return b
}

// octal writes a number right-aligned with zeros and a final zero byte; one
// that does not fit becomes zero.
func octal(b []byte, n, most int64) {
	if n > most {
		n = 0
	}
	s := strconv.FormatInt(n, 8)
	copy(b, strings.Repeat("0", len(b)-1-len(s))+s)
}

// split cuts a long name at a slash into ustar's prefix and name.
func split(name string) (prefix, short string, fits bool) {
	if !ascii(name) {
		return "", name, false
	}
	if len(name) <= nameLen {
		return "", name, true
	}
	end := min(len(name)-1, prefixLen+1)
	i := strings.LastIndexByte(name[:end], '/')
	if i <= 0 || len(name)-i-1 > nameLen {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

// plain leaves out what is not ASCII, for readers that know no pax.
func plain(s string) string {
	if ascii(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= 0x80 {
			return -1
		}
		return r
	}, s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// record writes one pax record, "LENGTH KEY=VALUE\n", whose length counts
// itself (POSIX.1-2001, pax).
func record(key, value string) string {
	rest := len(key) + len(value) + 3
	n := rest + len(strconv.Itoa(rest))
	n = rest + len(strconv.Itoa(n))
	return strconv.Itoa(n) + " " + key + "=" + value + "\n"
}

func byKey(a, b string) int {
	_, a, _ = strings.Cut(a, " ")
	_, b, _ = strings.Cut(b, " ")
	return strings.Compare(a, b)
}
