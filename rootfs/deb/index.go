package deb

import (
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// Index is the merged, verified package lists of some suites for one
// architecture.
type Index struct {
	Arch string
	// Release is the distribution's own version: 13.8.
	Release string
	// Date is when the newest of the suites was made.
	Date time.Time
	// Locked are the package lists, for a lock to keep.
	Locked []recipes.LockedIndex

	universe *universe
}

// Len is how many package versions the index lists.
func (ix *Index) Len() int { return ix.universe.count }

// Versions returns the versions of a package, highest first.
func (ix *Index) Versions(name string) []*Package { return ix.universe.versions[name] }
