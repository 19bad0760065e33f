package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// layerRecord is the kind of the store's records from layer keys to blobs.
const layerRecord = "layer"

// Inputs are all that the bytes of a layer depend on. The entries say
// everything of the tree: content by sha256, so that a Go program stands for
// the compiler and the flags that made it; owners, modes and ids; and those
// entries of the parent that the layer repeats, or resolved its paths by.
type Inputs struct {
	Entries     []rootfs.Entry // as Tree.Own gives them
	Compression Compression
	Epoch       time.Time
	SourceDate  time.Time
}

// Key is the sha256 of what the bytes of a layer depend on: its entries, the
// byte format, the encoder and the dates.
func Key(in Inputs) string {
	h := sha256.New()
	fmt.Fprintf(h, "format %d\nencoder %s %s\ncompression %s\nepoch %d\nsource date %d\n",
		Format, EncoderID, EncoderGolden, in.Compression.MediaType(), unix(in.epoch()), unix(in.SourceDate))
	// A hash never fails to be written to.
	_ = rootfs.WriteEntries(h, in.Entries)
	return hex.EncodeToString(h.Sum(nil))
}

// epoch is the epoch where it clamps anything, else none: a lock of another
// date does not make a layer another one whose files are all older.
func (in Inputs) epoch() time.Time {
	for _, e := range in.Entries {
		if e.Type != rootfs.Directory && e.ModTime.After(in.Epoch) {
			return in.Epoch
		}
	}
	return time.Time{}
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.Unix()
}

// Cached gives the blob of a layer that was packed before, as long as the
// store still holds it. Its bytes are not read here.
func Cached(s *fetch.Store, key string) (Blob, bool) {
	data, ok := s.Record(layerRecord, key)
	if !ok {
		return Blob{}, false
	}
	var b Blob
	if err := json.Unmarshal(data, &b); err != nil {
		return Blob{}, false
	}
	return b, b.InStore(s)
}

// Keep remembers the blob of a layer key.
func Keep(s *fetch.Store, key string, b Blob) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return s.SetRecord(layerRecord, key, data)
}

// InStore says whether the store holds the blob, in its full size, and the
// list of its entries.
func (b Blob) InStore(s *fetch.Store) bool {
	size, ok := s.Has(b.Digest)
	_, tree := s.Has(b.Tree)
	return ok && tree && size == b.Size
}

// storeTree keeps a layer's entries as a compressed store object.
func storeTree(ctx context.Context, s *fetch.Store, entries []rootfs.Entry) (recipes.Digest, error) {
	out, err := s.Create(ctx)
	if err != nil {
		return "", err
	}
	z, err := encoder(out, Gzip, true)
	if err != nil {
		return "", errors.Join(err, out.Abort())
	}
	if err := rootfs.WriteEntries(z, entries); err != nil {
		return "", errors.Join(err, out.Abort())
	}
	if err := z.Close(); err != nil {
		return "", errors.Join(err, out.Abort())
	}
	d, _, err := out.Commit("")
	return d, err
}

// LoadEntries reads the entries of a packed layer, without their content.
func LoadEntries(ctx context.Context, s *fetch.Store, b Blob) (_ []rootfs.Entry, err error) {
	f, err := s.Open(ctx, b.Tree)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := decompress(f)
	if err != nil {
		return nil, fmt.Errorf("entries of layer sha256:%s: %w", b.Digest, err)
	}
	entries, err := rootfs.ReadEntries(z)
	if err != nil {
		return nil, fmt.Errorf("entries of layer sha256:%s: %w", b.Digest, err)
	}
	return entries, nil
}
