package deb

import (
	"bytes"
	"fmt"
	"slices"
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

// Has says whether the index lists a package in a version.
func (ix *Index) Has(name, version string) bool {
	return slices.ContainsFunc(ix.Versions(name), func(p *Package) bool { return p.Version == version })
}

// Add lists a package that the archive has no more, or not in this version,
// by its own control paragraph (Contents.Control). It ranks by its version as
// all others do, so that a request that does not name it is answered as before
// unless it is the newest.
func (ix *Index) Add(control []byte, a recipes.Artifact) error {
	text := fmt.Sprintf("%s\nFilename: %s\nSize: %d\nSHA256: %s\n", bytes.TrimSpace(control), a.Path, a.Size, a.SHA256)
	err := readPackages(bytes.NewReader([]byte(text)), ix.Arch, func(p *Package, para paragraph) {
		p.Archive, p.release = a.Archive, ix.Release
		ix.universe.add(p, para)
	})
	if err == nil && !ix.Has(a.Name, a.Version) {
		err = fmt.Errorf("it is another package")
	}
	if err != nil {
		return fmt.Errorf("control paragraph of %s %s: %w", a.Name, a.Version, err)
	}
	return nil
}
