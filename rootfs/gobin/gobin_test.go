package gobin

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// TestMain is the helper's command too.
func TestMain(m *testing.M) {
	if os.Getenv("GOBIN_TEST_HELPER") != "" {
		if err := Helper(context.Background(), os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestBuild(t *testing.T) {
	ctx := context.Background()
	dir := mirror(t, helloMod)
	user(t, dir)
	f := fetcher(t, dir)
	src := hello()
	a, m, err := Resolve(ctx, f, src, "program")
	if err != nil {
		t.Fatal(err)
	}
	if a.Path != "example.test/!hello/@v/v1.2.3.zip" || a.License != "MIT" || a.PURL != "pkg:golang/example.test/Hello@v1.2.3" ||
		!strings.HasPrefix(a.Checksum, "h1:") || a.Layer != "program" || a.Size == 0 {
		t.Errorf("%+v", a)
	}
	if files := m.Files(src); len(files["go/Hello/go.mod.txt"]) == 0 || len(files["go/Hello/go.sum.txt"]) == 0 {
		t.Errorf("files %v", files)
	}
	src.GoMod, src.GoSum = string(m.GoMod), string(m.GoSum)
	e, err := Build(ctx, f.Store, a, src, recipes.LinuxAMD64, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if e.Path != "usr/bin/hello" || e.Mode != 0o755 || e.Owner != a.PURL || e.Type != rootfs.Regular || len(e.SHA1) != 40 {
		t.Errorf("%+v", e)
	}
	if got := execute(t, e); got != "hello 7\n" {
		t.Errorf("it says %q", got)
	}

	t.Run("evidence", func(t *testing.T) {
		facts, err := evidence.Read(ctx, f.Store, e)
		if err != nil {
			t.Fatal(err)
		}
		var own, std evidence.Part
		for _, p := range facts.Parts {
			switch p.Name {
			case "Hello":
				own = p
			case "stdlib":
				std = p
			}
		}
		if own.Version != "v1.2.3" || own.Sum != a.Checksum || own.License != "MIT" || own.Namespace != "example.test" {
			t.Errorf("%+v", own)
		}
		if "go"+std.Version != runtime.Version() {
			t.Errorf("%+v", std)
		}
	})
	t.Run("hostile environment", func(t *testing.T) {
		for name, value := range map[string]string{
			"GOFLAGS": "-tags=evil -mod=vendor", "GOARCH": "386", "GOOS": "windows", "GOAMD64": "v3", "CGO_ENABLED": "1", "GOWORK": "/nonexistent/go.work",
			"KOCACHE": t.TempDir(), "GO111MODULE": "off", "GODEBUG": "http2client=0", "GOCACHEPROG": "",
		} {
			t.Setenv(name, value)
		}
		again := fetcher(t, dir)
		other, err := Build(ctx, again.Store, a, src, recipes.LinuxAMD64, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if other.SHA256 != e.SHA256 {
			t.Errorf("%s in place of %s", other.SHA256, e.SHA256)
		}
		if os.Getenv("GOARCH") != "386" || os.Getenv("GOFLAGS") != "-tags=evil -mod=vendor" {
			t.Error("the environment was not put back")
		}
	})
	t.Run("from the store", func(t *testing.T) {
		version := strings.TrimSpace(goVersion(t))
		first, err := Build(ctx, f.Store, a, src, recipes.LinuxAMD64, Options{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Build(ctx, f.Store, a, src, recipes.LinuxAMD64, Options{Version: version, Command: "/nonexistent/go"})
		if err != nil || again.SHA256 != first.SHA256 || again.SHA256 != e.SHA256 {
			t.Errorf("%+v, %v", again, err)
		}
	})
	t.Run("helper", func(t *testing.T) {
		again := fetcher(t, dir)
		t.Setenv("GOBIN_TEST_HELPER", "1")
		t.Setenv("GOFLAGS", "-tags=evil")
		other, err := Build(ctx, again.Store, a, src, recipes.LinuxAMD64, Options{Helper: []string{os.Args[0]}})
		if err != nil || other.SHA256 != e.SHA256 {
			t.Errorf("%s in place of %s, %v", other.SHA256, e.SHA256, err)
		}
		if _, err := Build(ctx, fetcher(t, dir).Store, a, src, recipes.LinuxAMD64, Options{Helper: []string{"false"}}); err == nil {
			t.Error("a helper that fails is no error")
		}
	})
	t.Run("fresh caches", func(t *testing.T) {
		if os.Getenv("SHUDL_TEST_NETWORK") != "1" {
			t.Skip("it compiles the standard library anew: set SHUDL_TEST_NETWORK=1 for the long tests")
		}
		again := fetcher(t, dir)
		other, err := Build(ctx, again.Store, a, src, recipes.LinuxAMD64, Options{Cache: t.TempDir(), ModCache: modCache(t)})
		if err != nil || other.SHA256 != e.SHA256 {
			t.Errorf("%s in place of %s, %v", other.SHA256, e.SHA256, err)
		}
	})
	t.Run("downloads of the user's cache", func(t *testing.T) {
		t.Setenv("GOPROXY", "off")
		for _, offline := range []bool{false, true} {
			again := fetcher(t, t.TempDir())
			again.Offline = offline
			o := Options{ModCache: modCache(t), Fetcher: again}
			if _, err := Build(ctx, again.Store, a, src, recipes.LinuxAMD64, o); err == nil {
				t.Error("an empty module cache has the modules")
			}
			o.Reuse = true
			other, err := Build(ctx, again.Store, a, src, recipes.LinuxAMD64, o)
			if err != nil || other.SHA256 != e.SHA256 {
				t.Errorf("%s in place of %s, %v", other.SHA256, e.SHA256, err)
			}
		}
	})
	t.Run("arm64", func(t *testing.T) {
		e, err := Build(ctx, f.Store, a, src, recipes.LinuxARM64, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if machine := machineOf(t, e); machine != elf.EM_AARCH64 {
			t.Errorf("it is for %v", machine)
		}
	})
	t.Run("offline", func(t *testing.T) {
		files, err := ModuleFiles(ctx, f, src)
		if err != nil {
			t.Fatal(err)
		}
		var bundle bytes.Buffer
		if err := fetch.WriteBundle(ctx, &bundle, f.Store, files); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "bundle")
		if err := os.WriteFile(name, bundle.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		b, err := fetch.OpenBundle(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("GOPROXY", "file:///nonexistent")
		empty := fetcher(t, "/nonexistent")
		empty.Bundle, empty.Offline = b, true
		other, err := Build(ctx, empty.Store, a, src, recipes.LinuxAMD64, Options{Fetcher: empty, ModCache: modCache(t)})
		if err != nil {
			t.Fatal(err)
		}
		if other.SHA256 != e.SHA256 {
			t.Errorf("%s in place of %s", other.SHA256, e.SHA256)
		}
	})
}

func goVersion(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func content(t *testing.T, e rootfs.Entry) []byte {
	t.Helper()
	r, err := e.Content.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func machineOf(t *testing.T, e rootfs.Entry) elf.Machine {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(content(t, e)))
	if err != nil {
		t.Fatal(err)
	}
	return f.Machine
}

// execute runs the program where this machine can.
func execute(t *testing.T, e rootfs.Entry) string {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "hello 7\n"
	}
	name := filepath.Join(t.TempDir(), "hello")
	if err := os.WriteFile(name, content(t, e), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestRefused(t *testing.T) {
	ctx := context.Background()
	dir := mirror(t, helloMod)
	user(t, dir)
	f := fetcher(t, dir)
	src := hello()
	a, m, err := Resolve(ctx, f, src, "l")
	if err != nil {
		t.Fatal(err)
	}
	src.GoMod, src.GoSum = string(m.GoMod), string(m.GoSum)
	build := func(change func(*recipes.Artifact, *recipes.GoSource, *Options)) error {
		a, src, o := a, src, Options{}
		change(&a, &src, &o)
		_, err := Build(ctx, f.Store, a, src, recipes.LinuxAMD64, o)
		return err
	}
	if err := build(func(_ *recipes.Artifact, _ *recipes.GoSource, o *Options) { o.Command = "/nonexistent/go" }); !errors.Is(err, ErrNoGo) {
		t.Errorf("without go: %v", err)
	}
	for want, change := range map[string]func(*recipes.Artifact, *recipes.GoSource, *Options){
		"the lock builds Go programs with go1.0": func(_ *recipes.Artifact, _ *recipes.GoSource, o *Options) { o.Version = "go1.0" },
		"the lock says h1:other":                 func(a *recipes.Artifact, _ *recipes.GoSource, _ *Options) { a.Checksum = "h1:other" },
		"v1.2.4":                                 func(_ *recipes.Artifact, s *recipes.GoSource, _ *Options) { s.Version = "v1.2.4" },
		"the package lib, not a program": func(_ *recipes.Artifact, s *recipes.GoSource, _ *Options) {
			s.Package += "/lib"
		},
		"checksum mismatch": func(_ *recipes.Artifact, s *recipes.GoSource, _ *Options) {
			lines := strings.SplitAfter(s.GoSum, "\n")
			for i, l := range lines {
				if strings.HasPrefix(l, "example.test/dep v0.1.0 h1:") {
					lines[i] = "example.test/dep v0.1.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
				}
			}
			s.GoSum = strings.Join(lines, "")
		},
		"replaces modules": func(_ *recipes.Artifact, s *recipes.GoSource, _ *Options) {
			s.GoMod += "\nreplace example.test/dep => ../dep\n"
		},
	} {
		if err := build(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "example.test/dep/@v/v0.1.0.mod"), []byte("module other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ModuleFiles(ctx, fetcher(t, dir), src); err == nil || !strings.Contains(err.Error(), "go.sum says") {
		t.Errorf("a changed module file: %v", err)
	}
}

func TestReplaceRefused(t *testing.T) {
	dir := mirror(t, helloMod+"\nreplace example.test/dep => example.test/dep v0.1.0\n")
	user(t, dir)
	if _, _, err := Resolve(context.Background(), fetcher(t, dir), hello(), "l"); err == nil || !strings.Contains(err.Error(), "replace") {
		t.Errorf("got %v", err)
	}
}

// A module of another version than the recipe names is made anew.
func TestStaleModule(t *testing.T) {
	dir := mirror(t, helloMod)
	user(t, dir)
	f := fetcher(t, dir)
	a, m, err := Resolve(t.Context(), f, hello(), "l")
	if err != nil {
		t.Fatal(err)
	}
	src := hello()
	src.GoMod, src.GoSum = strings.ReplaceAll(string(m.GoMod), helloVersion, "v1.0.0"), strings.ReplaceAll(string(m.GoSum), helloVersion, "v1.0.0")
	again, fresh, err := Resolve(t.Context(), f, src, "l")
	if err != nil || again != a || fresh.digest() != m.digest() {
		t.Errorf("%+v, %v", again, err)
	}
}

// The modules beside the built-in recipes are what resolving gives today.
func TestBuiltinModules(t *testing.T) {
	set, err := recipes.Open("")
	if err != nil {
		t.Fatal(err)
	}
	images, err := set.Images(recipes.Debian, recipes.LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, image := range images {
		for _, layer := range image.Layers {
			for _, src := range layer.Go {
				count++
				m := Module{GoMod: []byte(src.GoMod), GoSum: []byte(src.GoSum)}
				if err := m.fits(src); err != nil {
					t.Errorf("%s: %v", image.Ref, err)
				}
				if os.Getenv("SHUDL_TEST_NETWORK") != "1" {
					continue
				}
				tool, err := find(t.Context(), Options{})
				if err != nil {
					t.Fatal(err)
				}
				now, err := generate(t.Context(), tool, src)
				if err != nil || now.digest() != m.digest() {
					t.Errorf("%s: go/%s is not what is generated now (%v)", image.Ref, src.Package, err)
				}
			}
		}
	}
	if count == 0 {
		t.Error("no recipe has a Go program")
	}
}
