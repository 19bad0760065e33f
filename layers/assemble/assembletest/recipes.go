// Package assembletest makes what runs of tests begin with.
package assembletest

import (
	"io/fs"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/recipes"
)

// NewLock is a lock of Debian's that holds no image yet.
func NewLock() *recipes.Lock {
	return &recipes.Lock{
		Format: recipes.LockFormat, Distro: recipes.Debian, Release: "13.8", Date: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		Encoder: layers.EncoderID, EncoderGolden: layers.EncoderGolden, Go: "go1.26.8",
	}
}

// Load reads recipes without artefacts and gives them all, for Debian, with
// their lock for both platforms.
func Load(t testing.TB, fsys fs.FS) (*recipes.Set, []recipes.Ref, *recipes.Lock) {
	t.Helper()
	set, err := recipes.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	refs, err := set.Select(nil, true, recipes.Debian)
	if err != nil {
		t.Fatal(err)
	}
	lock := NewLock()
	for _, p := range recipes.Platforms() {
		for _, ref := range refs {
			lock.Put(recipes.LockedImage{Ref: ref, Platform: p})
		}
	}
	return set, refs, lock
}
