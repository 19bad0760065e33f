package fetch

import (
	"io/fs"
	"os"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// When a file of the store was used last is kept in its access time, which is
// set here: file systems need not keep it by themselves. The modification time
// stays as it is, since files are known by it, in a layout too that holds an
// object by a hard link. Where a file system does count reads, one who reads
// every file, as a backup may, makes all of them used.

// touchAfter is how old the time of the last use may grow before another use
// renews it.
const touchAfter = time.Hour

// lastUsed is when a file was used last, its making included.
func lastUsed(info fs.FileInfo) time.Time {
	if at, ok := accessTime(info); ok && at.After(info.ModTime()) {
		return at
	}
	return info.ModTime()
}

// touch renews the time of the last use, where it is old, and gives what the
// file is known by from then on. Setting any time changes the change time: a
// file that somebody touched since it was seen keeps what it was known by, and
// is hashed again. Another user's file ages as if unused.
func touch(path string, seen fs.FileInfo) fs.FileInfo {
	now := time.Now()
	if now.Sub(lastUsed(seen)) <= touchAfter {
		return seen
	}
	before, err := os.Stat(path)
	sure := err == nil && untouched(seen, before)
	modified := time.Time{} // as it is
	if _, ok := accessTime(seen); !ok {
		modified = now
	}
	if os.Chtimes(path, now, modified) != nil || !sure {
		return seen
	}
	if after, err := os.Stat(path); err == nil && sameFile(seen, after) {
		return after
	}
	return seen
}

// used renews the time of an object that was looked for. One that is being
// hashed is renewed by that.
func (s *Store) used(d recipes.Digest, path string, info fs.FileInfo) {
	if time.Since(lastUsed(info)) <= touchAfter {
		return
	}
	c := s.memory(d)
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	after := touch(path, info)
	if c.info != nil && untouched(c.info, info) {
		c.info = after
	}
}
