package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/recipes"
)

// leftoverAge is how old a temporary or partial file must be before it counts
// as forgotten: no download lasts so long.
const leftoverAge = 24 * time.Hour

// Usage is what a store holds; sizes are in bytes.
type Usage struct {
	Dir      string
	Objects  Count // verified files, by sha256
	Records  Count // facts derived from them
	Partial  Count // downloads to go on with
	Leftover Count // temporary files, in use or forgotten
}

// Count is a number of files and their size in bytes.
type Count struct {
	Files int
	Bytes int64
}

func (c *Count) add(size int64) { c.Files++; c.Bytes += size }

// Usage counts what the store holds.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	u := Usage{Dir: s.dir}
	for dir, count := range map[string]*Count{
		objectsDir: &u.Objects, recordsDir: &u.Records, partialDir: &u.Partial, tmpDir: &u.Leftover,
	} {
		err := s.walk(ctx, dir, func(_ string, info fs.FileInfo) error { count.add(info.Size()); return nil })
		if err != nil {
			return Usage{}, err
		}
	}
	return u, nil
}

// walk visits the files of one of the store's folders. What goes while it
// looks is passed over.
func (s *Store) walk(ctx context.Context, dir string, visit func(path string, info fs.FileInfo) error) error {
	err := filepath.WalkDir(filepath.Join(s.dir, dir), func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && d.IsDir() {
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return visit(path, info)
	})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// GCOptions say what garbage collection leaves.
type GCOptions struct {
	// MaxAge is how long ago an object or a record may have been used last: read,
	// or found to be there; 0 is 30 days.
	MaxAge time.Duration
	// MaxBytes, where not zero, is how much may stay: the longest unused go
	// first.
	MaxBytes int64
	// Keep are objects that stay whatever their age.
	Keep map[recipes.Digest]bool
	// DryRun only counts.
	DryRun bool
}

// GCResult is what garbage collection removed, or would.
type GCResult struct {
	Removed Count
	Kept    Count // objects
}

type aged struct {
	path string
	size int64
	used time.Time
}

// GC removes objects that were not used for long, records that are as old, and
// what dead processes left. It needs the store for itself: where another
// process has it open, that is an error and nothing is removed.
func (s *Store) GC(ctx context.Context, o GCOptions) (GCResult, error) {
	if o.MaxAge == 0 {
		o.MaxAge = 30 * 24 * time.Hour
	}
	release, err := s.alone(ctx)
	if err != nil {
		return GCResult{}, err
	}
	defer release()
	now := time.Now()
	var res GCResult
	var objects []aged
	err = s.walk(ctx, objectsDir, func(path string, info fs.FileInfo) error {
		if d := recipes.Digest(filepath.Base(path)); o.Keep[d] && path == s.objectPath(d) {
			res.Kept.add(info.Size())
			return nil
		}
		objects = append(objects, aged{path, info.Size(), lastUsed(info)})
		return nil
	})
	if err != nil {
		return res, err
	}
	slices.SortFunc(objects, func(a, b aged) int {
		if c := b.used.Compare(a.used); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	for _, object := range objects { // the last used first
		over := o.MaxBytes > 0 && res.Kept.Bytes+object.size > o.MaxBytes
		if now.Sub(object.used) <= o.MaxAge && !over {
			res.Kept.add(object.size)
			continue
		}
		if err := res.remove(object.path, object.size, o.DryRun); err != nil {
			return res, err
		}
	}
	return res, s.sweep(ctx, o, now, &res)
}

// sweep removes old records and forgotten files.
func (s *Store) sweep(ctx context.Context, o GCOptions, now time.Time, res *GCResult) error {
	if err := s.sweepFresh(ctx, o, res); err != nil {
		return err
	}
	for dir, age := range map[string]time.Duration{recordsDir: o.MaxAge, partialDir: leftoverAge, tmpDir: leftoverAge} {
		err := s.walk(ctx, dir, func(path string, info fs.FileInfo) error {
			inFresh := dir == tmpDir && filepath.Base(filepath.Dir(path)) != tmpDir
			last := info.ModTime()
			if dir == recordsDir {
				last = lastUsed(info)
			}
			if now.Sub(last) <= age || inFresh {
				return nil
			}
			return res.remove(path, info.Size(), o.DryRun)
		})
		if err != nil {
			return err
		}
	}
	if !o.DryRun {
		s.sweepSplit()
	}
	return nil
}

// sweepSplit removes the folders, named by two digits, into which earlier
// versions put objects and records, as far as they are empty by now. What is in
// the others ages as all does: an earlier version may share the store.
func (s *Store) sweepSplit() {
	for _, pattern := range []string{objectsDir + "/??", recordsDir + "/*/??"} {
		old, _ := fs.Glob(os.DirFS(s.dir), pattern) // only a malformed pattern is an error
		for _, dir := range old {
			_ = os.Remove(filepath.Join(s.dir, dir)) // fails where something is in it
		}
	}
}

func (r *GCResult) remove(path string, size int64, dry bool) error {
	if !dry {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: %w", err)
		}
	}
	r.Removed.add(size)
	return nil
}

// alone makes this process the only one that has the store open.
func (s *Store) alone(ctx context.Context) (release func(), err error) {
	if s.inUse == nil {
		return nil, fmt.Errorf("store %s: this user may not write there", s.dir)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	// One lock file cannot be held shared and alone by one process: it is
	// given back first, and shared again afterwards.
	if err := s.inUse.Unlock(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if _, err := s.inUse.TryLockContext(ctx, lockPoll); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: another process uses it: try again when it is done", s.dir), s.markInUse())
	}
	return func() {
		s.inUse.Unlock()
		s.markInUse()
	}, nil
}

// VerifyResult is what Verify found.
type VerifyResult struct {
	Sound   Count
	Corrupt []*CorruptError // removed
}

// Verify hashes every object, whether this process used it before or not, and
// removes those that do not hold what their name says.
func (s *Store) Verify(ctx context.Context) (VerifyResult, error) {
	var res VerifyResult
	var paths []string
	err := s.walk(ctx, objectsDir, func(path string, info fs.FileInfo) error {
		paths = append(paths, path)
		return nil
	})
	if err != nil {
		return res, err
	}
	results := make([]verified, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, path := range paths {
		group.Go(func() (err error) {
			results[i], err = s.verifyObject(ctx, path)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return res, err
	}
	for _, v := range results {
		switch {
		case v.corrupt != nil:
			res.Corrupt = append(res.Corrupt, v.corrupt)
		case v.found:
			res.Sound.add(v.size)
		}
	}
	return res, nil
}

type verified struct {
	found   bool
	size    int64
	corrupt *CorruptError
}

func (s *Store) verifyObject(ctx context.Context, path string) (verified, error) {
	f, err := openUnused(path)
	if errors.Is(err, fs.ErrNotExist) {
		return verified{}, nil
	}
	if err != nil {
		return verified{}, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return verified{}, fmt.Errorf("store: %w", err)
	}
	want := recipes.Digest(filepath.Base(path))
	got, err := hashFile(ctx, f)
	if err != nil {
		return verified{}, fmt.Errorf("store: read %s: %w", path, err)
	}
	if got != want {
		s.remove(path, info)
		corrupt := &CorruptError{Path: path, Want: want, Got: got}
		c := s.memory(want)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.info, c.removed = nil, corrupt
		return verified{corrupt: corrupt}, nil
	}
	return verified{found: true, size: info.Size()}, nil
}
