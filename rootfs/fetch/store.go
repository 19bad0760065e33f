// Package fetch brings locked artefacts onto the machine: verified, resumable
// downloads from mirrors, and the content-addressed store that keeps them.
//
// What the store holds is not trusted to be whole: every object is hashed again
// before its bytes are first used in a process, and one that does not hold what
// its name says is removed. That an object is there, and what a record says, is
// believed without a look into objects: records have a checksum, against
// accidents, and no key. Who may write in the folder decides what is built.
// Several processes, of several users, may use one store at the same time.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/gofrs/flock"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// The folders of a store. None is split by first digits: in a small store those
// folders outnumbered the files and took longer to make, and the file systems of
// today find a name among a hundred thousand as quickly.
const (
	objectsDir = "sha256"  // sha256/<64 hex>, mode 0444
	recordsDir = "records" // records/<kind>/<sha256 of the key>
	partialDir = "partial" // downloads that were cut, kept between runs
	tmpDir     = "tmp"     // what is being written
	locksDir   = "locks"
)

// Store keeps files under the sha256 of their content.
type Store struct {
	dir   string
	perm  fs.FileMode // of the folders in the store, as its own folder has them
	inUse *flock.Flock

	mu    sync.Mutex
	known map[recipes.Digest]*checked
}

// checked remembers that an object was hashed in this process, and which
// file that was: one that another process has put in its place counts anew.
type checked struct {
	mu   sync.Mutex
	info fs.FileInfo
	// removed is set from the removal of a corrupt file until a sound one is
	// there: whoever looks for the object meanwhile is told why it is missing.
	removed *CorruptError
}

// CorruptError says that an object of the store did not hold what its name
// says. It has been removed, so it matches fs.ErrNotExist: whoever made the
// object makes it again.
type CorruptError struct {
	Path string
	Want recipes.Digest
	Got  recipes.Digest
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("store: %s held other bytes (sha256 %s) and was removed", e.Path, e.Got)
}

// Is makes a corrupt object a missing one.
func (e *CorruptError) Is(target error) bool { return target == fs.ErrNotExist }

// DefaultDir is the store's place in the user's cache folder; empty where the
// user has none (no HOME).
func DefaultDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "shudl-assemble")
}

// OpenStore opens the store in a folder and makes it where it is not there.
// An empty dir is DefaultDir. The folder's own permissions decide who shares
// the store: folders and files inside get them, whatever the umask.
func OpenStore(dir string) (*Store, error) {
	if dir == "" {
		dir = DefaultDir()
	}
	if dir == "" {
		return nil, errors.New("store: the user has no cache folder: set HOME or give --cache DIR")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("store: %w: give another folder by --cache DIR", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{
		dir:   dir,
		perm:  info.Mode() & (fs.ModePerm | fs.ModeSetgid),
		known: map[recipes.Digest]*checked{},
	}
	for _, sub := range []string{objectsDir, recordsDir, partialDir, tmpDir, locksDir} {
		if err := s.folder(filepath.Join(dir, sub)); err != nil {
			return nil, fmt.Errorf("store: %w: give another folder by --cache DIR", err)
		}
	}
	return s, s.markInUse()
}

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// temporary makes a file for what is being written.
func (s *Store) temporary(pattern string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, tmpDir), pattern)
	if unwritable(err) {
		return nil, fmt.Errorf("%w: give a folder that this user may write to by --cache DIR", err)
	}
	return f, err
}

// unwritable says that an error is about a folder that this user, or nobody,
// may write to.
func unwritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// folder makes one folder with the store's permissions. It appears with them,
// so that another user never meets it half made.
func (s *Store) folder(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	tmp, err := os.MkdirTemp(s.dir, ".new-")
	if err != nil {
		return err
	}
	err = os.Chmod(tmp, s.perm)
	if err == nil {
		err = moveInto(tmp, path)
	}
	if err == nil {
		return nil
	}
	os.Remove(tmp)
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return nil // another process was first
	}
	return err
}

// moveInto renames into a folder that was made just now. Two that make one at
// once may replace the empty folder of the other, and whoever looks into that
// one at this very moment finds nothing: the next look finds the new one.
func moveInto(old, new string) error {
	const tries = 100
	for try := 1; ; try++ {
		err := os.Rename(old, new)
		if err == nil || try == tries || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

func (s *Store) objectPath(d recipes.Digest) string {
	return filepath.Join(s.dir, objectsDir, string(d))
}

// Has says whether an object is there, and its size in bytes. It does not
// look inside: what Open gives has been hashed. To garbage collection it is a
// use: a push that changes nothing opens next to nothing.
func (s *Store) Has(d recipes.Digest) (size int64, ok bool) {
	if !valid(d) {
		return 0, false
	}
	path := s.objectPath(d)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	s.used(d, path, info)
	return info.Size(), true
}

// Open gives an object whose bytes were hashed in this process. One that is
// missing or corrupt is an error that matches fs.ErrNotExist; it is the same
// *CorruptError for all who look for an object that this process removed,
// until it is made again.
func (s *Store) Open(ctx context.Context, d recipes.Digest) (*os.File, error) {
	if !valid(d) {
		return nil, fmt.Errorf("store: %q is no sha256", d)
	}
	path := s.objectPath(d)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if removed := s.removed(d); removed != nil {
			return nil, removed
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.check(ctx, f, d); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Peek opens an object as it lies there, not hashed, for whoever holds what it
// takes from it to something else than the object's name.
func (s *Store) Peek(d recipes.Digest) (*os.File, error) {
	if !valid(d) {
		return nil, fmt.Errorf("store: %q is no sha256", d)
	}
	f, err := os.Open(s.objectPath(d))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return f, nil
}

// Path gives the place of an object, for hard links: the same promise as
// Open, as long as nobody but this program writes in the store.
func (s *Store) Path(ctx context.Context, d recipes.Digest) (string, error) {
	f, err := s.Open(ctx, d)
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// Unchanged says whether an open object is the file that this process wrote or
// hashed, and nobody has touched it since, as far as its inode, size and times
// tell: its bytes need not be hashed again. Where it says no they may still be
// right, as after a hard link to the file.
func (s *Store) Unchanged(f *os.File, d recipes.Digest) bool {
	c := s.memory(d)
	c.mu.Lock()
	known := c.info
	c.mu.Unlock()
	info, err := f.Stat()
	return err == nil && known != nil && untouched(known, info)
}

// check hashes an open object unless this very file was hashed before.
func (s *Store) check(ctx context.Context, f *os.File, d recipes.Digest) error {
	c := s.memory(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if c.info != nil && sameFile(c.info, info) {
		return nil
	}
	got, err := hashFile(ctx, f)
	if err != nil {
		return fmt.Errorf("store: read %s: %w", f.Name(), err)
	}
	if got != d {
		s.remove(f.Name(), info)
		c.info, c.removed = nil, &CorruptError{Path: f.Name(), Want: d, Got: got}
		return c.removed
	}
	c.removed = nil
	c.info = touch(f.Name(), info)
	return nil
}

func (s *Store) memory(d recipes.Digest) *checked {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.known[d]
	if c == nil {
		c = &checked{}
		s.known[d] = c
	}
	return c
}

// removed is what this process found where a missing object was; nil where it
// found nothing.
func (s *Store) removed(d recipes.Digest) *CorruptError {
	c := s.memory(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removed
}

// remove takes a corrupt object away, unless another process has already put
// a good one in its place.
func (s *Store) remove(path string, bad fs.FileInfo) {
	if now, err := os.Stat(path); err == nil && sameFile(now, bad) {
		os.Remove(path)
	}
}

// sameFile says whether two looks saw one file with one content, as far as
// its inode, size and time tell.
func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// untouched is sameFile, and nothing was done to the file in between, not even
// setting its time back. Systems whose change time is not known say no.
func untouched(a, b fs.FileInfo) bool {
	then, ok := changeTime(a)
	now, _ := changeTime(b)
	return ok && then.Equal(now) && sameFile(a, b)
}

// hashFile gives the sha256 of all of f and leaves f at its start.
func hashFile(ctx context.Context, f *os.File) (recipes.Digest, error) {
	h := sha256.New()
	if _, err := io.Copy(h, interrupt.Reader(ctx, f)); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return recipes.Digest(hex.EncodeToString(h.Sum(nil))), nil
}

// valid says whether a digest may name a file: 64 lower-case hex digits.
func valid(d recipes.Digest) bool {
	if len(d) != 64 {
		return false
	}
	for _, c := range d {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
