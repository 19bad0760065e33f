package resolve

import (
	"os"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// debianOptions resolve on the mirrors that the machine's own apt has.
func debianOptions(t testing.TB, store *fetch.Store, images ...string) Options {
	t.Helper()
	if os.Getenv("SHUDL_TEST_NETWORK") != "1" {
		t.Skip("skipped, because SHUDL_TEST_NETWORK is not 1: this test needs a Debian mirror")
	}
	mirrors, err := fetch.Discover(fetch.DiscoverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Fetcher: &fetch.Fetcher{Store: store, Mirrors: mirrors}}
	for _, image := range images {
		ref, err := recipes.ParseRef(image)
		if err != nil {
			t.Fatal(err)
		}
		o.Images = append(o.Images, ref)
	}
	return o
}

// Both platforms of the built-in recipes, resolved on the live archive; then a
// further image from the same indexes with a store that has nothing.
func TestDebianLock(t *testing.T) {
	o := debianOptions(t, fetchtest.NewStore(t), "base-debian", "base-postgresql:17")
	set, err := recipes.Open("")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Lock(t.Context(), set, nil, recipes.Debian, o)
	if err != nil {
		t.Fatal(err)
	}
	l := r.Lock
	text(t, l) // can be read again
	if len(l.Indexes) != 4 || len(l.Images) != 4 || !strings.HasPrefix(l.Release, "13.") {
		t.Errorf("%d indexes, %d images, release %s", len(l.Indexes), len(l.Images), l.Release)
	}
	for _, image := range l.Images {
		for _, a := range image.Artifacts {
			if a.License == "" || a.Origin == "" || a.Checksum != "" && strings.Contains(a.Checksum, " ") {
				t.Errorf("%s: %+v lacks licence or origin", image.Ref, a)
			}
			if e := excludedBy(t, set, image, a.Name); e != "" {
				t.Errorf("%s: package %s is locked and excluded (%s)", image.Ref, a.Name, e)
			}
		}
	}
	if again, err := Lock(t.Context(), set, l, recipes.Debian, o); err != nil || again.Changed {
		t.Errorf("a complete lock: changed %v, %v", again.Changed, err)
	}

	more := debianOptions(t, fetchtest.NewStore(t), "base-debian", "base-postgresql:17", "postgresql:17")
	more.Platforms = []recipes.Platform{recipes.LinuxARM64}
	filled, err := Lock(t.Context(), set, l, recipes.Debian, more)
	if err != nil {
		t.Fatal(err)
	}
	if !filled.Changed || len(filled.Lock.Images) != 5 || len(filled.Lock.Indexes) != 4 || filled.Lock.Date != l.Date {
		t.Errorf("filled: %d images, %d indexes, %s", len(filled.Lock.Images), len(filled.Lock.Indexes), filled.Lock.Date)
	}
}

// excludedBy gives the reason that an image or an ancestor leaves a package
// out.
func excludedBy(t *testing.T, set *recipes.Set, locked recipes.LockedImage, name string) string {
	t.Helper()
	chain, err := set.Chain(locked.Ref, recipes.Debian, locked.Platform)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range chain {
		for _, layer := range image.Layers {
			for _, e := range excluded(chain, layer) {
				if e.Name == name {
					return e.Reason
				}
			}
		}
	}
	return ""
}
