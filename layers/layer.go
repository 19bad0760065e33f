// Package layers packs file trees into layer blobs whose bytes depend on
// nothing but the trees: not on the machine, its cores, its clock or the
// order of work. A layer is a tar archive (POSIX.1-1988 ustar, with pax
// records of POSIX.1-2001 where needed), compressed as a sequence of
// independent gzip members (RFC 1952) or zstd frames (RFC 8878). FORMAT.md says
// which rules the bytes follow, and what was decided against.
package layers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// Compression is how a layer blob is compressed.
type Compression string

// The compressions. The zero value means Gzip.
const (
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// ParseCompression reads gzip or zstd; "" is gzip.
func ParseCompression(s string) (Compression, error) {
	switch c := Compression(s); c {
	case "", Gzip:
		return Gzip, nil
	case Zstd:
		return Zstd, nil
	}
	return "", fmt.Errorf("compression %q: gzip or zstd", s)
}

// MediaType is the OCI media type of a layer so compressed.
func (c Compression) MediaType() string {
	if c == Zstd {
		return "application/vnd.oci.image.layer.v1.tar+zstd"
	}
	return "application/vnd.oci.image.layer.v1.tar+gzip"
}

// Options say how a layer is written. Compression, Epoch and SourceDate
// change its bytes, the others do not.
type Options struct {
	Compression Compression
	// Epoch is the latest time that a file of an archive may carry: the
	// lock's date. Zero means no limit.
	Epoch time.Time
	// SourceDate, where it is set, is the time of everything
	// (SOURCE_DATE_EPOCH).
	SourceDate time.Time
	// Name says in errors and progress what is packed.
	Name string
	// Pool bounds processors and memory across layers that are packed at the
	// same time; nil means a pool of its own.
	Pool *Pool
	// Progress counts the bytes of the tar stream; nil shows nothing.
	Progress progress.Sink
}

// Blob is a packed layer in the store.
type Blob struct {
	Digest       recipes.Digest `json:"digest"` // of the compressed bytes
	DiffID       recipes.Digest `json:"diffID"` // of the tar stream
	Size         int64          `json:"size"`   // compressed, in bytes
	Uncompressed int64          `json:"uncompressed"`
	MediaType    string         `json:"mediaType"`
	// Tree is the store object that lists the layer's entries; LoadEntries
	// reads it.
	Tree recipes.Digest `json:"tree"`
}

// Write packs entries, those that a tree adds to its lower tree
// (rootfs.Tree.Own), into a blob of the store. The content of every file is held
// to the sha256 and size of its entry. What an earlier layer of the store holds
// of it is not compressed again; where it cannot be recorded for the next one,
// Progress is told. What an error leaves in the store, such as the list of the
// entries, is named by nothing, and goes with what is not used.
func Write(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, o Options) (Blob, error) {
	blob, err := write(ctx, s, entries, o)
	if err != nil {
		return Blob{}, fmt.Errorf("pack layer %s: %w", o.Name, err)
	}
	return blob, nil
}

func write(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, o Options) (Blob, error) {
	blob := Blob{MediaType: o.Compression.MediaType()}
	known := newReuse(s)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		blob.Tree, err = storeTree(ctx, s, entries)
		return err
	})
	group.Go(func() error { return errors.Join(blob.write(ctx, s, entries, known, o), known.close()) })
	if err := group.Wait(); err != nil {
		return Blob{}, err
	}
	if err := known.keep(blob.Digest); err != nil {
		o.sink().Say("layer %s: where its packages lie is not kept: %v", o.Name, err)
	}
	return blob, nil
}

// write makes an object of the packed entries.
func (b *Blob) write(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, known *reuse, o Options) error {
	members, err := arrange(entries)
	if err != nil {
		return err
	}
	out, err := s.Create(ctx)
	if err != nil {
		return err
	}
	if b.DiffID, b.Uncompressed, err = pack(ctx, out, members, known, o); err != nil {
		return errors.Join(err, out.Abort())
	}
	b.Digest, b.Size, err = out.Commit("")
	return err
}

// sink is where progress goes.
func (o Options) sink() progress.Sink {
	if o.Progress == nil {
		return progress.Discard{}
	}
	return o.Progress
}
