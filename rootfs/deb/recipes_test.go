package deb

import (
	"slices"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

// TestRecipesAgreeWithApt holds the packages of every built-in recipe to what
// the real apt-get installs: all that an image and its ancestors ask for, in
// an empty root, and with their exclusions entered as installed. Resolved
// layer by layer, children on their parents, the answer must be the same.
func TestRecipesAgreeWithApt(t *testing.T) {
	needNetwork(t)
	set, err := recipes.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range recipes.Platforms() {
		images, err := set.Images(recipes.Debian, p)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(p.Deb(), func(t *testing.T) {
			a := newApt(t, p.Deb())
			u := a.universe(t)
			chains := make([][]*recipes.Image, len(images))
			for i, image := range images {
				if chains[i], err = set.Chain(image.Ref, recipes.Debian, p); err != nil {
					t.Fatal(err)
				}
				names, _ := asked(chains[i])
				agree(t, a, u, names, nil) // one after the other: apt keeps its cache
			}
			for i, image := range images {
				t.Logf("image %s: %d packages", image.Ref, layered(t, a, u, chains[i]))
			}
		})
	}
}

// asked is what the layers of a chain ask for and leave out.
func asked(chain []*recipes.Image) (names, exclude []string) {
	for _, image := range chain {
		for _, layer := range image.Layers {
			for _, p := range layer.Packages {
				names = append(names, p.Name)
			}
			for _, e := range layer.Excludes {
				if len(layer.Packages) > 0 && !slices.Contains(exclude, e.Name) {
					exclude = append(exclude, e.Name)
				}
			}
		}
	}
	return names, exclude
}

// layered resolves layer by layer on what is there, and all at once, and
// compares both with apt's one answer, whose size it returns.
func layered(t *testing.T, a *apt, u *universe, chain []*recipes.Image) int {
	t.Helper()
	image := chain[len(chain)-1]
	names, exclude := asked(chain)
	want, ok, out := a.install(names, a.excluded(u, exclude))
	if !ok || len(want) == 0 {
		t.Errorf("image %s: apt refuses %v without %v\n%s", image.Ref, names, exclude, tail(redact(out)))
		return 0
	}
	ix := &Index{Arch: a.arch, universe: u}
	var held []recipes.Artifact
	for i := range chain {
		_, without := asked(chain[:i+1])
		for _, layer := range chain[i].Layers {
			if len(layer.Packages) == 0 {
				continue
			}
			r := request(nil, without)
			r.Roots, r.Held = layer.Packages, held
			packages, err := ix.Resolve(r)
			if err != nil {
				t.Errorf("image %s, layer %s: %v", image.Ref, layer.Name, err)
				return 0
			}
			for _, p := range packages {
				held = append(held, p.Artifact(layer.Name))
			}
		}
	}
	var got []string
	for _, h := range held {
		got = append(got, h.Name+"="+h.Version)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("image %s, layer by layer: only apt %v; only we %v", image.Ref, minus(want, got), minus(got, want))
	}
	return len(want)
}
