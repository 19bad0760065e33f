package apk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// shared finds a path below ../shared/alpine, beside the repository. Without
// it the test is skipped, except in CI.
func shared(t testing.TB, parts ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(append([]string{filepath.Dir(dir), "shared", "alpine"}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the real Alpine data are missing in CI: %v", err)
		}
		t.Skipf("skipped, because the real Alpine data are not here: %v", err)
	}
	return path
}

// minirootfs unpacks Alpine's real minirootfs, or only some members of it,
// with the host's tar.
func minirootfs(t testing.TB, members ...string) string {
	t.Helper()
	archive := shared(t, "v3.19", "releases", "x86_64", "alpine-minirootfs-3.19.4-x86_64.tar.gz")
	root := t.TempDir()
	args := append([]string{"-xzf", archive, "-C", root, "--exclude=./dev/*"}, members...)
	if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	return root
}

// needsAPK skips where Alpine's own apk cannot run.
func needsAPK(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skipf("skipped, because Alpine's apk for linux/amd64 does not run on %s/%s", runtime.GOOS, runtime.GOARCH)
	}
}

// realPackages reads the real 3.19 indexes, their signatures checked.
func realPackages(t testing.TB) *Index {
	t.Helper()
	ix := &Index{Release: "v3.19"}
	keys, err := readKeys(shared(t, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"main", "community"} {
		folder := "v3.19/" + repository + "/x86_64"
		file, err := os.Open(filepath.Join(shared(t, filepath.FromSlash(folder)), "APKINDEX.tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		signed, err := readSigned(file, keys)
		if err != nil {
			t.Fatal(err)
		}
		packages, err := ParseIndex(bytes.NewReader(signed.text), folder)
		if err != nil {
			t.Fatal(err)
		}
		ix.Packages = append(ix.Packages, packages...)
	}
	return ix
}
