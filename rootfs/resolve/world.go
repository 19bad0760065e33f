package resolve

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// world is what a distro offers for one platform.
type world interface {
	about() about
	// learn makes known what the indexes have no more: each package says
	// itself what it needs.
	learn(ctx context.Context, packages []recipes.Artifact) error
	// add finds the packages that a layer adds.
	add(ctx context.Context, w wish) ([]recipes.Artifact, error)
	// complete fetches a package, checks that nothing in it is unknown (its
	// scripts above all), and fills in what its index does not say.
	complete(ctx context.Context, a recipes.Artifact) (recipes.Artifact, error)
}

// about is what indexes say of themselves.
type about struct {
	release string
	date    time.Time
	indexes []recipes.LockedIndex
}

// wish is what one layer asks for.
type wish struct {
	layer   recipes.Layer
	held    []recipes.Artifact // what ancestors and layers below have
	exclude []recipes.Exclude
	roots   []root // root tarballs of this layer and of those below
}

// missingError says that a lock names no index for a platform.
type missingError struct{ platform recipes.Platform }

func (e *missingError) Error() string {
	return fmt.Sprintf("the lock was not resolved for %s", e.platform)
}

// open loads a platform's indexes: the locked ones, or today's for nil.
func (j *job) open(ctx context.Context, p recipes.Platform, locked []recipes.LockedIndex) (world, error) {
	if j.distro == recipes.Alpine {
		return j.openAlpine(ctx, p, locked)
	}
	return j.openDebian(ctx, p, locked)
}

func compareIndexes(a, b recipes.LockedIndex) int {
	return cmp.Or(strings.Compare(a.Archive, b.Archive), strings.Compare(a.Path, b.Path), strings.Compare(string(a.SHA256), string(b.SHA256)))
}
