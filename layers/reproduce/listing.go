package reproduce

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// These bound what is kept of a layer that somebody else wrote, in entries and
// in bytes of names and attributes; the largest of ours has some ten thousand
// entries.
const (
	maxEntries = 1 << 20
	maxNames   = 256 << 20
)

// listing is what the headers of a layer say, by path, with the digest of each
// content. The content itself streams by.
type listing struct {
	diffID  string
	entries map[string]entry
}

// entry is one path. What differs in any field is told.
type entry struct {
	kind  string
	mode  string
	owner string
	time  string
	bytes string // size and sha256 of a file
	link  string
	attrs string // records that change what is unpacked
	times int    // how often the path is there: the last counts
}

// list reads a layer blob to its end.
func list(ctx context.Context, r io.Reader, mediaType string) (*listing, error) {
	z, err := layers.Decompress(r, mediaType)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	stream := io.TeeReader(interrupt.Reader(ctx, z), hash)
	l := &listing{entries: map[string]entry{}}
	err = l.fill(tar.NewReader(stream))
	if err == nil {
		_, err = io.Copy(io.Discard, stream) // what follows the trailer
	}
	if err == nil {
		// The blob's own reader compares its digest at the end.
		_, err = io.Copy(io.Discard, r)
	}
	l.diffID = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return l, errors.Join(err, z.Close())
}

func (l *listing) fill(r *tar.Reader) error {
	names := 0
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its tar stream: %w", err)
		}
		hash := sha256.New()
		size, err := io.Copy(hash, r)
		if err != nil {
			return fmt.Errorf("its tar stream: %s: %w", h.Name, err)
		}
		path := strings.TrimSuffix(h.Name, "/")
		e := newEntry(h)
		if h.Typeflag == tar.TypeReg {
			e.bytes = fmt.Sprintf("%d bytes, sha256 %s", size, hex.EncodeToString(hash.Sum(nil)))
		}
		e.times = l.entries[path].times + 1
		l.entries[path] = e
		if names += len(path) + len(e.link) + len(e.attrs); names > maxNames || len(l.entries) > maxEntries {
			return fmt.Errorf("its tar stream: more than %d paths, or more than %d MiB of names", maxEntries, maxNames>>20)
		}
	}
}

func newEntry(h *tar.Header) entry {
	e := entry{
		kind:  kind(h.Typeflag),
		mode:  fmt.Sprintf("%04o", h.Mode),
		owner: fmt.Sprintf("%d:%d", h.Uid, h.Gid),
		time:  h.ModTime.UTC().Format(time.RFC3339Nano),
		link:  h.Linkname,
	}
	if h.Uname != "" || h.Gname != "" {
		e.owner += fmt.Sprintf(" (%s:%s)", h.Uname, h.Gname)
	}
	var attrs []string
	for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		// The others are fields of the header in a longer form.
		if strings.Contains(key, ".") {
			attrs = append(attrs, fmt.Sprintf("%s=%q", key, h.PAXRecords[key]))
		}
	}
	if h.Devmajor != 0 || h.Devminor != 0 {
		attrs = append(attrs, fmt.Sprintf("device %d,%d", h.Devmajor, h.Devminor))
	}
	e.attrs = strings.Join(attrs, " ")
	return e
}

func kind(flag byte) string {
	switch flag {
	case tar.TypeReg:
		return "file"
	case tar.TypeDir:
		return "directory"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeLink:
		return "hard link"
	}
	return fmt.Sprintf("tar type %q", flag)
}

// against finds the first path, in the order of their names, that is not the
// same in both layers, what about it differs, and how many more there are.
func (l *listing) against(rebuilt *listing) (path string, aspects []Aspect, more int) {
	paths := maps.Clone(l.entries)
	maps.Copy(paths, rebuilt.entries)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		a, here := l.entries[name]
		b, there := rebuilt.entries[name]
		if here && there && a == b {
			continue
		}
		if len(aspects) > 0 {
			more++
			continue
		}
		path = name
		switch {
		case !here:
			aspects = []Aspect{{"missing", "nothing", b.summary()}}
		case !there:
			aspects = []Aspect{{"extra", a.summary(), "nothing"}}
		default:
			aspects = a.aspects(b)
		}
	}
	return path, aspects, more
}

func (e entry) summary() string {
	text := fmt.Sprintf("%s, mode %s, owner %s", e.kind, e.mode, e.owner)
	switch {
	case e.bytes != "":
		text += ", " + e.bytes
	case e.link != "":
		text += ", to " + e.link
	}
	return text
}

func (e entry) aspects(o entry) []Aspect {
	var list []Aspect
	for _, f := range []Aspect{
		{"type", e.kind, o.kind}, {"bytes", e.bytes, o.bytes}, {"link", e.link, o.link}, {"mode", e.mode, o.mode},
		{"owner", e.owner, o.owner}, {"time", e.time, o.time}, {"attributes", e.attrs, o.attrs},
		{"number of entries", fmt.Sprint(e.times), fmt.Sprint(o.times)},
	} {
		if f.Published == f.Rebuilt {
			continue
		}
		if f.Published == "" {
			f.Published = "nothing"
		}
		if f.Rebuilt == "" {
			f.Rebuilt = "nothing"
		}
		list = append(list, f)
	}
	return list
}
