package fetch

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriting has the system begin to bring a part of a file to disk, and
// returns at once (sync_file_range(2)).
func startWriting(f *os.File, from, size int64) error {
	return unix.SyncFileRange(int(f.Fd()), from, size, unix.SYNC_FILE_RANGE_WRITE)
}
