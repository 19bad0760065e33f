package archive

import (
	"fmt"
	"io"
)

// Limits bounds what an archive may expand to. The zero value stands for the
// defaults, which leave room for the largest artefacts that images are made
// of (a Trino server: 6,732 entries, 937 MB) and stop what is no artefact.
type Limits struct {
	// Entries is the most members of any kind; 0 means DefaultEntries.
	Entries int
	// Total is the most bytes that all files may have; 0 means DefaultTotal.
	Total int64
	// File is the most bytes that one file may have; 0 means DefaultFile.
	File int64
	// Ratio is how many bytes may come out for each that goes in, counted
	// once ratioFloor bytes have come out; 0 means DefaultRatio.
	Ratio int64
}

// What a zero field of Limits stands for; sizes in bytes.
const (
	DefaultEntries = 500_000
	DefaultTotal   = 16 << 30
	DefaultFile    = 4 << 30
	DefaultRatio   = 250
)

// ratioFloor is the output below which no ratio is held: short runs of zeros
// compress by any factor and harm nobody.
const ratioFloor = 32 << 20

// LimitError says that an archive is larger than Limits allows.
type LimitError struct {
	Knob  string // the field of Limits to raise
	Limit int64
	What  string // what exceeded it
}

// Error names the limit and its value.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s exceeds the limit %s=%d; raise that limit if the archive is genuine", e.What, e.Knob, e.Limit)
}

func (l Limits) withDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = DefaultEntries
	}
	if l.Total == 0 {
		l.Total = DefaultTotal
	}
	if l.File == 0 {
		l.File = DefaultFile
	}
	if l.Ratio == 0 {
		l.Ratio = DefaultRatio
	}
	return l
}

// usage counts what an archive has taken of its limits.
type usage struct {
	lim     Limits
	entries int
	bytes   int64
}

// entry counts one member of the given size in bytes.
func (u *usage) entry(name string, size int64) error {
	u.entries++
	if u.entries > u.lim.Entries {
		return &LimitError{Knob: "Entries", Limit: int64(u.lim.Entries), What: "the number of entries"}
	}
	if size > u.lim.File {
		return &LimitError{Knob: "File", Limit: u.lim.File, What: fmt.Sprintf("%q with %d bytes", name, size)}
	}
	u.bytes += size
	if u.bytes > u.lim.Total {
		return &LimitError{Knob: "Total", Limit: u.lim.Total, What: "the size of all files together"}
	}
	return nil
}

// ratio holds the expansion of one stream or zip entry.
func (l Limits) ratio(name string, in, out int64) error {
	if out > ratioFloor && out > in*l.Ratio {
		return &LimitError{Knob: "Ratio", Limit: l.Ratio, What: fmt.Sprintf("%s: %d bytes out of %d", name, out, in)}
	}
	return nil
}

// counter counts the bytes read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
