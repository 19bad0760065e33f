package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shudl/shudl-assemble/recipes"
)

// freshPrefix begins the names of fresh stores.
const freshPrefix = "fresh-"

// Fresh opens an empty store in a temporary folder of this one, for work that
// must find nothing ready. remove closes it and takes it away with everything
// in it; what a dead process leaves is removed by garbage collection.
func (s *Store) Fresh() (fresh *Store, remove func() error, err error) {
	dir, err := os.MkdirTemp(filepath.Join(s.dir, tmpDir), freshPrefix)
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w: give another folder by --cache DIR", err)
	}
	fresh, err = OpenStore(dir)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return fresh, func() error { return errors.Join(fresh.Close(), removeAll(dir)) }, nil
}

// removeAll removes a folder and what is in it, folders that nobody may write
// to included: the go command makes such ones.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o700)
	})
	return errors.Join(err, os.RemoveAll(dir))
}

// sweepFresh removes the fresh stores of dead processes. Nobody else has this
// store open, so that none is in use.
func (s *Store) sweepFresh(ctx context.Context, o GCOptions, res *GCResult) error {
	dead, err := filepath.Glob(filepath.Join(s.dir, tmpDir, freshPrefix+"*"))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, dir := range dead {
		err := s.walk(ctx, filepath.Join(tmpDir, filepath.Base(dir)), func(_ string, info fs.FileInfo) error {
			res.Removed.add(info.Size())
			return nil
		})
		if err == nil && !o.DryRun {
			err = removeAll(dir)
		}
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

// into copies an object into another store and says whether it was here,
// unharmed. It is hashed here and there.
func (s *Store) into(ctx context.Context, to *Store, d recipes.Digest) (found bool, err error) {
	f, err := s.Open(ctx, d)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := to.Create(ctx)
	if err != nil {
		return false, err
	}
	if _, err := io.Copy(w, f); err != nil {
		return false, errors.Join(err, w.Abort())
	}
	_, _, err = w.Commit(d)
	return err == nil, err
}
