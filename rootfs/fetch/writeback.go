package fetch

import "os"

// writebackStep is how much of a file is handed to the disk at a time, in bytes.
const writebackStep = 8 << 20

// writeback has a file go to disk while it grows, so that the sync at its end
// waits for the last part and not for all of it.
type writeback struct {
	begun int64 // in bytes
}

// wrote is told how long the file is now.
func (w *writeback) wrote(f *os.File, size int64) {
	if size < w.begun {
		w.begun = 0 // it was emptied
	}
	if size-w.begun < writebackStep {
		return
	}
	_ = startWriting(f, w.begun, size-w.begun) // a hint: what is wrong, the sync will say
	w.begun = size
}
