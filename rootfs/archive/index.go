package archive

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// index says what an archive holds and where in a store object each file's
// bytes lie, so that an archive is read through only once.
type index struct {
	// Object is the store object that holds the bytes: the spool of a tar,
	// the zip itself.
	Object  recipes.Digest `json:"object"`
	Size    int64          `json:"size"`
	Entries []indexed      `json:"entries"`
}

// indexed is one entry of an index. Field names are part of the cache's
// format, whose version stands in indexVersion.
type indexed struct {
	Path   string            `json:"p"`
	Type   string            `json:"t"`
	Mode   uint32            `json:"m,omitempty"`
	UID    int               `json:"u,omitempty"`
	GID    int               `json:"g,omitempty"`
	Size   int64             `json:"s,omitempty"`
	SHA256 recipes.Digest    `json:"h,omitempty"`
	SHA1   string            `json:"h1,omitempty"`
	Link   string            `json:"l,omitempty"`
	XAttrs map[string][]byte `json:"x,omitempty"`
	Time   int64             `json:"time,omitempty"` // Unix seconds; 0 is no time
	Offset int64             `json:"o,omitempty"`
	Packed int64             `json:"c"` // deflated bytes, -1 where not deflated
}

// indexVersion changes whenever an index would say something else of the same
// archive.
const indexVersion = "1 "

// entries makes tree entries whose content comes from o.
func (x *index) entries(o *object) ([]rootfs.Entry, error) {
	out := make([]rootfs.Entry, 0, len(x.Entries))
	for _, i := range x.Entries {
		if len(i.Type) != 1 {
			return nil, fmt.Errorf("index entry %s: type %q", i.Path, i.Type)
		}
		e := rootfs.Entry{Path: i.Path, Type: rootfs.Type(i.Type[0]), Mode: i.Mode, UID: i.UID, GID: i.GID, Size: i.Size,
			SHA256: i.SHA256, SHA1: i.SHA1, Link: i.Link}
		if i.Time != 0 {
			e.ModTime = time.Unix(i.Time, 0).UTC()
		}
		for name, value := range i.XAttrs {
			if e.XAttrs == nil {
				e.XAttrs = map[string]string{}
			}
			e.XAttrs[name] = string(value)
		}
		if e.Type == rootfs.Regular {
			e.Content = &section{object: o, name: i.Path, offset: i.Offset, packed: i.Packed, size: i.Size, sha256: i.SHA256}
		}
		out = append(out, e)
	}
	return out, nil
}

// check holds an index that was made under other limits to these.
func (x *index) check(lim Limits) error {
	u := usage{lim: lim.withDefaults()}
	for _, i := range x.Entries {
		if err := u.entry(i.Path, i.Size); err != nil {
			return err
		}
	}
	return nil
}

func (x *index) marshal() ([]byte, error) { return json.Marshal(x) }

func unmarshalIndex(data []byte) (*index, error) {
	x := new(index)
	return x, json.Unmarshal(data, x)
}

// digests computes the two digests of a file's content side by side.
type digests struct{ s256, s1 hash.Hash }

func newDigests() digests { return digests{sha256.New(), sha1.New()} }

func (d digests) Write(p []byte) (int, error) {
	d.s256.Write(p)
	return d.s1.Write(p)
}

func (d digests) sums() (recipes.Digest, string) {
	return recipes.Digest(hex.EncodeToString(d.s256.Sum(nil))), hex.EncodeToString(d.s1.Sum(nil))
}
