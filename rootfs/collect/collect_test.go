package collect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// debFile makes a .deb: control fields and files, a path that ends in a
// slash being a folder and content that begins with "->" a link.
func debFile(t *testing.T, control string, files ...[2]string) []byte {
	t.Helper()
	var deb bytes.Buffer
	deb.WriteString("!<arch>\n")
	member := func(name string, data []byte) {
		fmt.Fprintf(&deb, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(data))
		deb.Write(data)
		if len(data)%2 == 1 {
			deb.WriteByte('\n')
		}
	}
	member("debian-binary", []byte("2.0\n"))
	member("control.tar.gz", tarball(t, [2]string{"./control", control}))
	member("data.tar.gz", tarball(t, files...))
	return deb.Bytes()
}

func tarball(t *testing.T, files ...[2]string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}
		target, link := strings.CutPrefix(f[1], "->")
		switch {
		case strings.HasSuffix(f[0], "/"):
			h.Typeflag, h.Mode, h.Size = tar.TypeDir, 0o755, 0
		case link:
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, f[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bench is an image under test with a store of its own.
type bench struct {
	Input
	t *testing.T
}

func newBench(t *testing.T, distro recipes.Distro, layers ...recipes.Layer) *bench {
	t.Helper()
	ref := recipes.Ref{Name: "base-test"}
	return &bench{t: t, Input: Input{
		Image:  &recipes.Image{Ref: ref, Distro: distro, Platform: recipes.LinuxAMD64, Layers: layers},
		Locked: &recipes.LockedImage{Ref: ref, Platform: recipes.LinuxAMD64},
		Store:  fetchtest.NewStore(t),
	}}
}

// keep puts bytes into the store.
func (b *bench) keep(data []byte) recipes.Digest {
	b.t.Helper()
	return fetchtest.Put(b.t, b.Store, data)
}

// deb locks a package for a layer.
func (b *bench) deb(layer, name, extra string, files ...[2]string) {
	b.t.Helper()
	control := "Package: " + name + "\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: T <t@example.org>\nDescription: test\n" + extra
	data := debFile(b.t, control, files...)
	b.Locked.Artifacts = append(b.Locked.Artifacts, recipes.Artifact{
		Layer: layer, Kind: recipes.KindDeb, Name: name, Version: "1.0-1", Size: int64(len(data)), SHA256: b.keep(data),
		PURL: "pkg:deb/debian/" + name + "@1.0-1?arch=amd64", Archive: "debian", Path: "pool/" + name + ".deb",
	})
}

func TestContentPutsPackagesThroughDeclaredLinks(t *testing.T) {
	layer := recipes.Layer{
		Name:        "system",
		Links:       []recipes.Link{{Path: "bin", Target: "usr/bin"}},
		Directories: []recipes.Directory{{Path: "home/app", UID: 10001, GID: 10001, Mode: 0o750}},
		Files:       []recipes.File{{Path: "etc/hello", Mode: 0o644, Content: []byte("hello\n")}},
		Drop:        []recipes.Drop{{Pattern: "usr/share/man/**", Reason: "no man"}},
	}
	b := newBench(t, recipes.Debian, layer)
	b.deb("system", "tool", "", [2]string{"./", ""}, [2]string{"./bin/", ""}, [2]string{"./bin/tool", "#!"}, [2]string{"./usr/share/man/man1/tool.1", "m"})
	got, err := Content(t.Context(), b.Input, layer, nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, owner := range map[string]string{
		"usr/bin/tool": "pkg:deb/debian/tool@1.0-1?arch=amd64",
		"bin":          "recipe:base-test/system/links/bin",
		"home/app":     "recipe:base-test/system/directories/home/app",
		"etc/hello":    "recipe:base-test/system/files/etc/hello",
	} {
		if e, ok := got.Tree.Lookup(path); !ok || e.Owner != owner {
			t.Errorf("%s: owner %q, want %q", path, e.Owner, owner)
		}
	}
	if _, ok := got.Tree.Lookup("usr/share/man/man1/tool.1"); ok {
		t.Error("the dropped page is there")
	}
	if len(got.Dropped) == 0 || got.Dropped[0].Reason != "no man" {
		t.Errorf("dropped: %v", got.Dropped)
	}
}

func TestContentRefusesADropThatMatchesNothing(t *testing.T) {
	layer := recipes.Layer{Name: "system", Drop: []recipes.Drop{{
		Pattern: "usr/share/info/**", Reason: "no info", Pos: recipes.Position{File: "base-test/recipe.yaml", Line: 7, Column: 9},
	}}}
	b := newBench(t, recipes.Debian, layer)
	b.deb("system", "tool", "", [2]string{"./usr/bin/tool", "x"})
	_, err := Content(t.Context(), b.Input, layer, nil)
	if err == nil || !strings.Contains(err.Error(), "recipe.yaml:7:9") {
		t.Errorf("error %v", err)
	}
}

// A keep counts in every package that its drop matches, and has to match in
// one of them.
func TestContentHoldsKeepsToTheirWord(t *testing.T) {
	keep := func(glob string) recipes.Layer {
		return recipes.Layer{Name: "system", Drop: []recipes.Drop{{
			Pattern: "usr/share/x/**", Keep: []string{glob}, Reason: "no x", Pos: recipes.Position{File: "base-test/recipe.yaml", Line: 7, Column: 9},
		}}}
	}
	files := func(b *bench) {
		b.deb("system", "tool", "", [2]string{"./usr/share/x/tool", "1"})
		b.deb("system", "other", "", [2]string{"./usr/share/x/kept", "2"}, [2]string{"./usr/share/x/gone", "3"})
	}
	b := newBench(t, recipes.Debian, keep("usr/share/x/kept"))
	files(b)
	got, err := Content(t.Context(), b.Input, b.Image.Layers[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"usr/share/x/kept": true, "usr/share/x/gone": false, "usr/share/x/tool": false} {
		if _, ok := got.Tree.Lookup(path); ok != want {
			t.Errorf("%s: there %v, want %v", path, ok, want)
		}
	}
	b = newBench(t, recipes.Debian, keep("usr/share/x/nothing"))
	files(b)
	_, err = Content(t.Context(), b.Input, b.Image.Layers[0], nil)
	if err == nil || !strings.Contains(err.Error(), `recipe.yaml:7:9: keep "usr/share/x/nothing" matches nothing`) {
		t.Errorf("error %v", err)
	}
}

func TestContentHoldsPackagesApart(t *testing.T) {
	layer := recipes.Layer{Name: "system"}
	b := newBench(t, recipes.Debian, layer)
	b.deb("system", "one", "", [2]string{"./usr/bin/x", "1"})
	b.deb("system", "two", "", [2]string{"./usr/bin/x", "2"})
	_, err := Content(t.Context(), b.Input, layer, nil)
	if err == nil || !strings.Contains(err.Error(), "usr/bin/x") || !strings.Contains(err.Error(), "base-test") {
		t.Errorf("error %v names neither path nor image", err)
	}

	b = newBench(t, recipes.Debian, layer)
	b.deb("system", "one", "", [2]string{"./usr/bin/x", "1"})
	b.deb("system", "two", "Replaces: one\n", [2]string{"./usr/bin/x", "2"})
	got, err := Content(t.Context(), b.Input, layer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := got.Tree.Lookup("usr/bin/x"); !strings.Contains(e.Owner, "/two@") {
		t.Errorf("owner %q, want the package that replaces", e.Owner)
	}
}

func TestContentWantsWhatTheRecipeNames(t *testing.T) {
	layer := recipes.Layer{Name: "server", Tarballs: []recipes.Tarball{{Name: "jdk"}}}
	b := newBench(t, recipes.Debian, layer)
	_, err := Content(t.Context(), b.Input, layer, nil)
	if err == nil || !strings.Contains(err.Error(), "lock") || !strings.Contains(err.Error(), "jdk") {
		t.Errorf("error %v", err)
	}
}

// The state of a child holds its own packages and accounts, and nothing that
// its parent has already.
func TestStateHoldsWhatIsNew(t *testing.T) {
	base := recipes.Layer{Name: "system", Accounts: []recipes.Account{{Name: "app", UID: 10001, GID: 10001, Home: "/home/app", Shell: "/bin/sh"}}}
	b := newBench(t, recipes.Debian, base)
	b.deb("system", "tool", "", [2]string{"./usr/bin/mawk", "x"})
	content, err := Content(t.Context(), b.Input, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	state, err := State(t.Context(), b.Input, content.Tree)
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := state.Lookup("var/lib/dpkg/status.d/tool"); !ok || !e.State {
		t.Error("the package is not recorded as state")
	}

	child := recipes.Layer{Name: "server", Accounts: []recipes.Account{{Name: "db", UID: 999, GID: 999, Home: "/data", Shell: "/bin/sh"}}, Generate: []string{"alternatives"}}
	b.Image = &recipes.Image{Ref: recipes.Ref{Name: "db"}, Distro: recipes.Debian, Platform: recipes.LinuxAMD64, Layers: []recipes.Layer{child}}
	b.Locked = &recipes.LockedImage{Ref: b.Image.Ref, Platform: recipes.LinuxAMD64}
	own, err := State(t.Context(), b.Input, state)
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, e := range own.Own() {
		if e.Type != rootfs.Directory {
			paths[e.Path] = true
		}
	}
	for _, want := range []string{"etc/passwd", "etc/group", "usr/bin/awk", "usr/bin/nawk"} {
		if !paths[want] {
			t.Errorf("no %s", want)
		}
		delete(paths, want)
	}
	if len(paths) > 0 {
		t.Errorf("the state repeats %v", paths)
	}
	if got := read(t, own, "etc/passwd"); !strings.Contains(got, "app:x:10001:") || !strings.Contains(got, "db:x:999:") {
		t.Errorf("passwd is %q", got)
	}
}

func read(t *testing.T, tree *rootfs.Tree, path string) string {
	t.Helper()
	e, ok := tree.Lookup(path)
	if !ok {
		t.Fatalf("no %s", path)
	}
	r, err := e.Content.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
