package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// memberRecord is the kind of the store's records from members to the layers
// that hold their compressed bytes.
const memberRecord = "member"

const (
	// reuseFrom is how much of the tar stream a member must be, in bytes, to
	// be looked for in earlier layers. Smaller ones are compressed as quickly.
	reuseFrom = 64 << 10
	// reusePart is which part of a blob must be of use for the blob to be
	// opened: hashing it whole is about as much faster than compressing.
	reusePart = 8
)

// place is where in a layer blob the compressed bytes of a member lie.
type place struct {
	Blob   recipes.Digest `json:"blob"`
	Offset int64          `json:"offset"`
	Size   int64          `json:"size"`
}

// reuse finds the compressed bytes of members in layers that were packed
// before, so that a layer of which one package changed compresses that one.
// It keeps no copy of them: a record says in which blob they lie. The blob is
// hashed when the store opens it, and one that is gone or corrupt means that
// the member is compressed again.
type reuse struct {
	store  *fetch.Store
	places map[string]place            // by key, of what find gives
	blobs  map[recipes.Digest]*os.File // open, hashed
	wrote  []wrote
}

// wrote is where a member lies in the blob that is being written.
type wrote struct {
	key string
	place
}

func newReuse(s *fetch.Store) *reuse {
	return &reuse{store: s, places: map[string]place{}, blobs: map[recipes.Digest]*os.File{}}
}

// key is the sha256 of all that the compressed bytes of a member depend on:
// its tar stream, in which the digest of a file stands for the content, its
// level, the encoder and the format.
func (t *tarWriter) key(m member) string {
	h := sha256.New()
	fmt.Fprintf(h, "format %d\nencoder %s %s\ncompression %s\ncheap %t\n",
		Format, EncoderID, EncoderGolden, t.opt.Compression.MediaType(), m.cheap)
	for _, e := range m.entries {
		h.Write(header(e, t.time(e)))
		fmt.Fprintf(h, "%s\n", e.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// plan looks for members in the layers that the store holds, and gives the keys
// of all that are worth remembering.
func (r *reuse) plan(tar *tarWriter, members []member) []string {
	keys := make([]string, len(members))
	sizes, used := map[recipes.Digest]int64{}, map[recipes.Digest]int64{}
	for i, m := range members {
		if weight([]member{m}) < reuseFrom {
			continue
		}
		keys[i] = tar.key(m)
		p, size, ok := r.recorded(keys[i])
		if !ok {
			continue
		}
		r.places[keys[i]] = p
		sizes[p.Blob] = size
		used[p.Blob] += p.Size
	}
	maps.DeleteFunc(r.places, func(_ string, p place) bool { return used[p.Blob] < sizes[p.Blob]/reusePart })
	return keys
}

// recorded is where a member lies, and the size of the whole blob.
func (r *reuse) recorded(key string) (p place, size int64, ok bool) {
	data, ok := r.store.Record(memberRecord, key)
	if !ok || json.Unmarshal(data, &p) != nil {
		return place{}, 0, false
	}
	size, ok = r.store.Has(p.Blob)
	return p, size, ok && p.Offset >= 0 && p.Size > 0 && p.Offset <= size-p.Size
}

// find gives the compressed bytes of a member, or nil.
func (r *reuse) find(ctx context.Context, key string) *io.SectionReader {
	p, ok := r.places[key]
	if !ok {
		return nil
	}
	f := r.blobs[p.Blob]
	if f == nil {
		var err error
		if f, err = r.store.Open(ctx, p.Blob); err != nil {
			return nil
		}
		r.blobs[p.Blob] = f
	}
	return io.NewSectionReader(f, p.Offset, p.Size)
}

// note remembers that the next bytes of a member lie at an offset of the blob
// that is being written.
func (r *reuse) note(key string, offset, size int64) {
	if last := len(r.wrote) - 1; last >= 0 && r.wrote[last].key == key {
		r.wrote[last].Size += size
		return
	}
	r.wrote = append(r.wrote, wrote{key, place{Offset: offset, Size: size}})
}

// keep records where the members of a new blob lie.
func (r *reuse) keep(blob recipes.Digest) error {
	for _, w := range r.wrote {
		w.Blob = blob
		data, err := json.Marshal(w.place)
		if err != nil {
			return err
		}
		if err := r.store.SetRecord(memberRecord, w.key, data); err != nil {
			return err
		}
	}
	return nil
}

// close gives back the blobs that were read.
func (r *reuse) close() error {
	var all []error
	for _, f := range r.blobs {
		all = append(all, f.Close())
	}
	return errors.Join(all...)
}
