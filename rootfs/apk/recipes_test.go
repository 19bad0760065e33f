package apk

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

// recipeSets gives, for every Alpine image, the packages of its recipe and of
// its ancestors. Names that the 3.19 branch does not have are told.
func recipeSets(t testing.TB, ix *Index) map[string][]string {
	t.Helper()
	set, err := recipes.Open(filepath.Join("..", "..", "recipes"))
	if err != nil {
		t.Fatal(err)
	}
	images, err := set.Images(recipes.Alpine, recipes.LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string][]string{}
	for _, image := range images {
		var names []string
		if image.From != nil {
			names = slices.Clone(sets[image.From.String()])
		}
		for _, layer := range image.Layers {
			for _, p := range layer.Packages {
				names = append(names, p.Name)
			}
		}
		sets[image.Ref.String()] = names
	}
	return sets
}

// TestRecipesResolveAsAPKDoes resolves every Alpine recipe's own set on the
// 3.19 index, on top of the minirootfs, as apk add --simulate does. Java 25 is
// not in that branch: there, both refuse.
func TestRecipesResolveAsAPKDoes(t *testing.T) {
	ix := realPackages(t)
	o := newOracle(t, true)
	root := minirootfsRequest(t, o.target)
	sets := recipeSets(t, ix)
	if len(sets) < 9 {
		t.Fatalf("only %d Alpine images", len(sets))
	}
	asked := map[string]bool{}
	count := &tally{}
	for image, set := range sets {
		key := fmt.Sprint(set)
		if asked[key] {
			continue
		}
		asked[key] = true
		if !full() && image != "patroni" {
			continue // the largest shows that the whole works
		}
		refused := count.refused
		count.compare(t, ix, o, root, set)
		if java25 := strings.Contains(key, "openjdk25"); (count.refused > refused) != java25 {
			t.Errorf("%s: refused %t", image, !java25)
		}
		t.Logf("%s: %s", image, strings.Join(set, " "))
	}
}
