package fetch

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when a file's bytes or its inode changed last; no user can set
// it.
func changeTime(info fs.FileInfo) (time.Time, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(st.Ctim.Unix()), true
}
