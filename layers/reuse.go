package layers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// memberRecord is the kind of the store's records from members to the layers
// that hold their compressed bytes.
const memberRecord = "member"

// reuseFrom is how much of the tar stream a member must be, in bytes, to be
// looked for in earlier layers. Smaller ones are compressed as quickly.
const reuseFrom = 64 << 10

// place is where in a layer blob the compressed bytes of a member lie: its
// pieces, one for each chunk, in a row.
type place struct {
	Blob   recipes.Digest `json:"blob"`
	Offset int64          `json:"offset"`
	Pieces []int64        `json:"pieces"` // lengths in bytes
}

// end is the offset behind the last piece.
func (p place) end() int64 {
	end := p.Offset
	for _, n := range p.Pieces {
		end += n
	}
	return end
}

// reuse finds the compressed bytes of members in layers that were packed
// before, so that a layer of which one package changed compresses that one.
// It keeps no copy of them: a record says in which blob they lie. Neither the
// record nor the blob is believed. A piece is decompressed and compared with
// the chunk that it stands for, in memory, which takes less than half of the
// time that compressing takes; where it cannot be read or is another's, the
// chunk is compressed.
type reuse struct {
	store  *fetch.Store
	places map[string]place            // by key, of what find gives
	blobs  map[recipes.Digest]*os.File // open, not hashed
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
	for i, m := range members {
		if weight([]member{m}) < reuseFrom {
			continue
		}
		keys[i] = tar.key(m)
		if p, ok := r.recorded(keys[i]); ok {
			r.places[keys[i]] = p
		}
	}
	return keys
}

// recorded is where a member lies, if that can be.
func (r *reuse) recorded(key string) (p place, ok bool) {
	data, ok := r.store.Record(memberRecord, key)
	if !ok || json.Unmarshal(data, &p) != nil || len(p.Pieces) == 0 {
		return place{}, false
	}
	for _, n := range p.Pieces {
		if n <= 0 || n > int64(room(chunkSize)) {
			return place{}, false
		}
	}
	size, ok := r.store.Has(p.Blob)
	return p, ok && p.Offset >= 0 && p.Offset <= size && p.end() <= size
}

// find gives the compressed pieces of a member, or nil.
func (r *reuse) find(key string) *taken {
	p, ok := r.places[key]
	if !ok {
		return nil
	}
	f := r.blobs[p.Blob]
	if f == nil {
		var err error
		if f, err = r.store.Peek(p.Blob); err != nil {
			return nil
		}
		r.blobs[p.Blob] = f
	}
	return &taken{f, p}
}

// taken are the pieces of a member in an earlier layer.
type taken struct {
	blob io.ReaderAt
	left place
}

// next gives the piece of the next chunk, or nil.
func (t *taken) next() *io.SectionReader {
	if t == nil || len(t.left.Pieces) == 0 {
		return nil
	}
	n := t.left.Pieces[0]
	piece := io.NewSectionReader(t.blob, t.left.Offset, n)
	t.left.Offset, t.left.Pieces = t.left.Offset+n, t.left.Pieces[1:]
	return piece
}

// note remembers that the next piece of a member lies at an offset of the blob
// that is being written.
func (r *reuse) note(key string, offset, size int64) {
	if last := len(r.wrote) - 1; last >= 0 && r.wrote[last].key == key {
		r.wrote[last].Pieces = append(r.wrote[last].Pieces, size)
		return
	}
	r.wrote = append(r.wrote, wrote{key, place{Offset: offset, Pieces: []int64{size}}})
}

// keep records where the members of a new blob lie, also of those that were
// looked for elsewhere.
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
