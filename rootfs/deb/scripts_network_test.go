package deb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// hostFetcher downloads from the machine's own mirrors into a store that is
// kept between test runs.
func hostFetcher(t testing.TB) *fetch.Fetcher {
	t.Helper()
	needNetwork(t)
	dir := os.Getenv("SHUDL_TEST_STORE")
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "store")
	}
	s, err := fetch.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	m, err := fetch.Discover(fetch.DiscoverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &fetch.Fetcher{Store: s, Mirrors: m}
}

// closures resolves every Debian recipe of the built-in set as a lock would:
// children on their parents' packages, with their ancestors' exclusions.
func closures(t testing.TB, f *fetch.Fetcher, p recipes.Platform) map[string][]recipes.Artifact {
	t.Helper()
	ctx := context.Background()
	ix, err := Load(ctx, f, LoadOptions{Arch: p.Deb()})
	if err != nil {
		t.Fatal(err)
	}
	set, err := recipes.Open("")
	if err != nil {
		t.Fatal(err)
	}
	images, err := set.Images(recipes.Debian, p)
	if err != nil {
		t.Fatal(err)
	}
	type known struct {
		held     []recipes.Artifact
		excludes []recipes.Exclude
	}
	all := map[string]known{}
	out := map[string][]recipes.Artifact{}
	for _, img := range images {
		var k known
		if img.From != nil {
			parent := all[img.From.String()]
			k.held, k.excludes = slices.Clone(parent.held), slices.Clone(parent.excludes)
		}
		for _, l := range img.Layers {
			k.excludes = append(k.excludes, l.Excludes...)
		}
		for _, l := range img.Layers {
			pkgs, err := ix.Resolve(Request{Roots: l.Packages, Held: k.held, Exclude: k.excludes})
			if err != nil {
				t.Fatalf("%s, layer %s: %v", img.Ref, l.Name, err)
			}
			for _, pkg := range pkgs {
				a := pkg.Artifact(l.Name)
				k.held = append(k.held, a)
				out[img.Ref.String()] = append(out[img.Ref.String()], a)
			}
		}
		all[img.Ref.String()] = k
		t.Logf("%s %s: %d packages of its own", img.Ref, p, len(out[img.Ref.String()]))
	}
	return out
}

// TestScriptsOfTheRecipes opens every package that a Debian recipe pulls in:
// something must stand in for each of its maintainer scripts.
func TestScriptsOfTheRecipes(t *testing.T) {
	f := hostFetcher(t)
	ctx := context.Background()
	for _, p := range []recipes.Platform{recipes.LinuxAMD64, recipes.LinuxARM64} {
		t.Run(string(p), func(t *testing.T) {
			licensed, opened := 0, 0
			for image, artifacts := range closures(t, f, p) {
				if err := f.Artifacts(ctx, artifacts); err != nil {
					t.Fatal(err)
				}
				for _, a := range artifacts {
					c, err := Open(ctx, f.Store, a)
					if err != nil {
						t.Errorf("%s: %v", image, err)
						continue
					}
					opened++
					license, err := c.License(ctx)
					if err != nil {
						t.Error(err)
					}
					if license != NoAssertion {
						licensed++
					}
					if err := CheckScripts(c); err != nil {
						t.Errorf("%s: %v", image, err)
					}
					dump(t, c, license)
				}
			}
			t.Logf("%d packages opened, %d with a machine-readable licence", opened, licensed)
		})
	}
}

// dump writes scripts to SHUDL_TEST_DUMP, for whoever extends the table.
func dump(t *testing.T, c *Contents, license string) {
	dir := os.Getenv("SHUDL_TEST_DUMP")
	if dir == "" {
		return
	}
	scripts := map[string]string{"triggers": c.Triggers, "license": license}
	for name, text := range c.Scripts {
		scripts[name] = text
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%s", c.Name, name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
