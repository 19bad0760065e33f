package rootfs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// maxLine bounds one serialised entry, in bytes.
const maxLine = 1 << 20

// record is an entry as a JSON line. Field names are part of the cache's
// format.
type record struct {
	Path   string            `json:"path"`
	Type   string            `json:"type"`
	Mode   uint32            `json:"mode,omitempty"`
	UID    int               `json:"uid,omitempty"`
	GID    int               `json:"gid,omitempty"`
	Size   int64             `json:"size,omitempty"`
	SHA256 recipes.Digest    `json:"sha256,omitempty"`
	SHA1   string            `json:"sha1,omitempty"`
	Link   string            `json:"link,omitempty"`
	XAttrs map[string][]byte `json:"xattrs,omitempty"`
	Time   *time.Time        `json:"time,omitempty"`
	Owner  string            `json:"owner"`
	State  bool              `json:"state,omitempty"`
}

// WriteEntries writes entries as JSON lines, without their content.
func WriteEntries(w io.Writer, entries []Entry) error {
	buf := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	for _, e := range entries {
		r := record{
			Path: e.Path, Type: string(rune(e.Type)), Mode: e.Mode, UID: e.UID, GID: e.GID, Size: e.Size,
			SHA256: e.SHA256, SHA1: e.SHA1, Link: e.Link, Owner: e.Owner, State: e.State,
		}
		if !e.ModTime.IsZero() {
			t := e.ModTime.UTC()
			r.Time = &t
		}
		for name, value := range e.XAttrs {
			if r.XAttrs == nil {
				r.XAttrs = make(map[string][]byte)
			}
			r.XAttrs[name] = []byte(value)
		}
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write entry %s: %w", e.Path, err)
		}
	}
	return buf.Flush()
}

// ReadEntries reads what WriteEntries wrote and holds each entry to the rules
// of a tree, so that a damaged cache is an error and not a damaged image.
func ReadEntries(r io.Reader) ([]Entry, error) {
	var entries []Entry
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		e, err := readEntry(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(entries)+1, err)
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	return entries, nil
}

func readEntry(line []byte) (Entry, error) {
	var r record
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Entry{}, err
	}
	if len(r.Type) != 1 {
		return Entry{}, fmt.Errorf("type %q", r.Type)
	}
	e := Entry{
		Path: r.Path, Type: Type(r.Type[0]), Mode: r.Mode, UID: r.UID, GID: r.GID, Size: r.Size,
		SHA256: r.SHA256, SHA1: r.SHA1, Link: r.Link, Owner: r.Owner, State: r.State,
	}
	if r.Time != nil {
		e.ModTime = r.Time.UTC()
	}
	for name, value := range r.XAttrs {
		if e.XAttrs == nil {
			e.XAttrs = make(map[string]string)
		}
		e.XAttrs[name] = string(value)
	}
	return e, check(&e)
}
