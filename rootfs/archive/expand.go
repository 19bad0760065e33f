package archive

import (
	"context"
	"fmt"
	"io"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Expand returns the entries of an archive that is in the store: a zip, jar
// or wheel, or a tar, bare or compressed with gzip, xz or zstd, told apart by
// their first bytes. One that was read before is not opened. name is for
// messages.
func Expand(ctx context.Context, s *fetch.Store, blob recipes.Digest, name string, lim Limits) ([]rootfs.Entry, error) {
	open := func() (io.ReadCloser, error) {
		f, err := s.Open(ctx, blob)
		if err != nil {
			return nil, err
		}
		return decompressed(f, lim)
	}
	if entries, ok := knownZip(s, blob, lim); ok {
		return entries, nil
	}
	if entries, ok := knownTar(s, string(blob), open, lim); ok {
		return entries, nil
	}
	f, err := s.Open(ctx, blob)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	magic := make([]byte, 6)
	n, err := io.ReadFull(f, magic)
	f.Close()
	if err != nil && n == 0 {
		return nil, fmt.Errorf("%s: an empty file is no archive", name)
	}
	var entries []rootfs.Entry
	switch kindOf(magic[:n]) {
	case "zip", "empty zip":
		entries, err = Zip(ctx, s, blob, lim)
	case "":
		entries, err = bareTar(ctx, s, blob, lim)
	default:
		entries, err = Tar(ctx, s, string(blob), open, lim)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return entries, nil
}

// expandEntry is Expand for an archive that is an entry of another one.
func expandEntry(ctx context.Context, s *fetch.Store, e rootfs.Entry, lim Limits) ([]rootfs.Entry, error) {
	in, err := e.Content.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	magic := make([]byte, 6)
	n, _ := io.ReadFull(in, magic)
	switch kindOf(magic[:n]) {
	case "zip", "empty zip":
		// A zip is read from its end: it has to become an object of its own.
		if err := keep(ctx, s, e); err != nil {
			return nil, err
		}
		return Zip(ctx, s, e.SHA256, lim)
	default:
		return Tar(ctx, s, string(e.SHA256), func() (io.ReadCloser, error) {
			in, err := e.Content.Open(ctx)
			if err != nil {
				return nil, err
			}
			return decompressed(in, lim)
		}, lim)
	}
}

// keep makes an entry's content a store object, where it is not one already.
func keep(ctx context.Context, s *fetch.Store, e rootfs.Entry) error {
	if _, ok := s.Has(e.SHA256); ok {
		return nil
	}
	in, err := e.Content.Open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	w, err := s.Create(ctx)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		w.Abort()
		return err
	}
	_, _, err = w.Commit(e.SHA256)
	return err
}

// decompressed is ReaderLimit that closes its source too.
func decompressed(src io.ReadCloser, lim Limits) (io.ReadCloser, error) {
	r, err := ReaderLimit(src, lim)
	if err != nil {
		src.Close()
		return nil, err
	}
	return &chained{r, src}, nil
}

type chained struct {
	io.ReadCloser
	src io.Closer
}

func (c *chained) Close() error {
	err := c.ReadCloser.Close()
	if cerr := c.src.Close(); err == nil {
		err = cerr
	}
	return err
}
