package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often a waiting process asks again for a lock.
const lockPoll = 20 * time.Millisecond

// inUseName is the lock that every open store shares, so that garbage
// collection knows whether it is alone.
const inUseName = "in-use"

// Lock waits until no other process, and nobody else in this one, holds the
// lock of that name, and takes it. The lock of a process that dies is free.
func (s *Store) Lock(ctx context.Context, name string) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(name))
	path := filepath.Join(s.dir, locksDir, hex.EncodeToString(sum[:16]))
	for {
		l, err := s.lockFile(path)
		if err != nil {
			return nil, fmt.Errorf("store: lock %s: %w", name, err)
		}
		_, err = l.TryLockContext(ctx, lockPoll)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the holder before has just removed the file
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("store: lock %s: %w", name, err), l.Close())
		}
		// The holder before may have removed the file: then this lock is on
		// a file that nobody else will find.
		held, err := l.Stat()
		if err == nil {
			if now, err := os.Stat(path); err == nil && os.SameFile(now, held) {
				return func() { os.Remove(path); l.Close() }, nil
			}
		}
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("store: lock %s: %w", name, err)
		}
	}
}

// lockFile makes the file of a lock so that every user of the store can open
// it, whatever the umask, and gives the lock on it, not yet taken.
func (s *Store) lockFile(path string) (*flock.Flock, error) {
	mode := s.perm & 0o666
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		f, err := s.temporary("lock-")
		if err != nil {
			return nil, err
		}
		defer os.Remove(f.Name())
		if err := errors.Join(f.Chmod(mode), f.Close()); err != nil {
			return nil, err
		}
		if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	// Never by flock itself, which would make it under this user's umask.
	return flock.New(path, flock.SetFlag(os.O_RDONLY)), nil
}

// markInUse shares the store with others for as long as it is open. A folder
// that this user cannot write to serves all the same.
func (s *Store) markInUse() error {
	l, err := s.lockFile(filepath.Join(s.dir, locksDir, inUseName))
	if unwritable(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := l.TryRLockContext(ctx, lockPoll); err != nil {
		return errors.Join(fmt.Errorf("store %s: another process cleans it up: %w", s.dir, err), l.Close())
	}
	s.inUse = l
	return nil
}

// Close lets garbage collection have the store. Objects that are open stay
// readable.
func (s *Store) Close() error {
	if s.inUse == nil {
		return nil
	}
	return s.inUse.Close()
}
