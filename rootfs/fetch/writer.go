package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"

	"github.com/shudl/shudl-assemble/recipes"
)

// Writer makes one object: its bytes go to a temporary file, and Commit puts
// it in its place. A Writer that is left to its fate leaves a temporary file,
// which garbage collection removes.
type Writer struct {
	store *Store
	ctx   context.Context
	file  *os.File
	hash  hash.Hash
	size  int64
	early writeback
}

// MismatchError says that content is not what was asked for.
type MismatchError struct {
	Want, Got recipes.Digest
	Size      int64
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("sha256 is %s (%d bytes), not %s", e.Got, e.Size, e.Want)
}

// Create begins an object.
func (s *Store) Create(ctx context.Context) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := s.temporary("object-")
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &Writer{store: s, ctx: ctx, file: f, hash: sha256.New()}, nil
}

// Write adds bytes; it ends with the context that Create was given.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	w.early.wrote(w.file, w.size)
	return n, err
}

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.size }

// Commit ends the object and gives its digest and its size in bytes. Where
// want is set, other content is a *MismatchError and nothing is kept.
func (w *Writer) Commit(want recipes.Digest) (recipes.Digest, int64, error) {
	got := recipes.Digest(hex.EncodeToString(w.hash.Sum(nil)))
	if want != "" && got != want {
		w.Abort()
		return "", 0, &MismatchError{Want: want, Got: got, Size: w.size}
	}
	if err := w.ctx.Err(); err != nil {
		w.Abort()
		return "", 0, err
	}
	f := w.file
	w.file = nil
	return got, w.size, w.store.adopt(f, got)
}

// Abort forgets the object. After Commit it does nothing.
func (w *Writer) Abort() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// adopt makes an object of an open file in the store whose content was hashed
// while it was written: synced first, so that a crash never leaves a short
// file under a full name. The name is not: one that a crash takes away is an
// object that is missing, and is fetched or made again. It closes the file, and
// removes it on an error.
func (s *Store) adopt(f *os.File, d recipes.Digest) (err error) {
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("store: %w", err)
		}
	}()
	c := s.memory(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	path := s.objectPath(d)
	if now, err := os.Stat(path); err == nil && c.info != nil && sameFile(now, c.info) {
		return errors.Join(f.Close(), os.Remove(f.Name())) // hashed before, and still there
	}
	if err := errors.Join(f.Chmod(0o444), f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	err = moveInto(f.Name(), path)
	info, statErr := f.Stat() // with the time that renaming gave it
	if err := errors.Join(err, statErr, f.Close()); err != nil {
		return err
	}
	c.info, c.removed = info, nil
	return nil
}
