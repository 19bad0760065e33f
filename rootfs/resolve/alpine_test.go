package resolve

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// shared finds the real Alpine data beside the repository. Without them the
// test is skipped, except in CI.
func shared(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/alpine")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the real Alpine data are missing in CI: %v", err)
		}
		t.Skipf("skipped, because the real Alpine data are not here: %v", err)
	}
	return dir
}

// alpineOptions resolve on a mirror folder into a store of their own.
func alpineOptions(t testing.TB, mirror string) Options {
	t.Helper()
	return Options{
		Fetcher:   &fetch.Fetcher{Store: fetchtest.NewStore(t), Mirrors: fetch.Mirrors{fetch.Alpine: {"file:" + mirror}}},
		Keyring:   filepath.Join(shared(t), "keys"),
		Release:   "v3.19",
		Platforms: []recipes.Platform{recipes.LinuxAMD64},
		Encoder:   "test 1", EncoderGolden: recipes.Digest(strings.Repeat("a", 64)), Go: "go1.26.8",
	}
}

func alpineSet(t testing.TB) *recipes.Set {
	t.Helper()
	set, err := recipes.Open("testdata/alpine")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func mustLock(t testing.TB, set *recipes.Set, old *recipes.Lock, o Options) *Result {
	t.Helper()
	r, err := Lock(t.Context(), set, old, recipes.Alpine, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t testing.TB, l *recipes.Lock) string {
	t.Helper()
	var out bytes.Buffer
	if err := l.Write(&out); err != nil {
		t.Fatal(err)
	}
	if _, err := recipes.ReadLock(bytes.NewReader(out.Bytes())); err != nil {
		t.Fatalf("the lock cannot be read again: %v", err)
	}
	return out.String()
}

// versions lists name-version of an image's packages.
func versions(t testing.TB, l *recipes.Lock, image string) string {
	t.Helper()
	locked, ok := l.Image(recipes.Ref{Name: image}, recipes.LinuxAMD64)
	if !ok {
		t.Fatalf("image %s is not locked", image)
	}
	var out []string
	for _, a := range locked.Artifacts {
		out = append(out, a.Name+"-"+a.Version)
	}
	return strings.Join(out, " ")
}

// A base on the real minirootfs, and a child on the base. What the minirootfs
// holds is locked with it, newer than the index or not.
func TestAlpineLock(t *testing.T) {
	o := alpineOptions(t, shared(t))
	set := alpineSet(t)
	r := mustLock(t, set, nil, o)
	l := r.Lock
	if !r.Changed || l.Release != "v3.19" || l.Date.Format("2006-01-02") != "2024-06-18" || len(l.Indexes) != 2 {
		t.Errorf("changed %v, release %s, date %s, indexes %v", r.Changed, l.Release, l.Date, l.Indexes)
	}
	const base = "alpine-baselayout-3.4.3-r2 alpine-baselayout-data-3.4.3-r2 alpine-keys-2.4-r1 apk-tools-2.14.4-r0 busybox-1.36.1-r19 " +
		"busybox-binsh-1.36.1-r19 ca-certificates-20240226-r0 ca-certificates-bundle-20240226-r0 libc-utils-0.7.2-r5 libcrypto3-3.1.7-r0 " +
		"libidn2-2.3.4-r4 libssl3-3.1.7-r0 libunistring-1.1-r2 musl-1.2.4_git20230717-r4 musl-utils-1.2.4_git20230717-r4 pcre2-10.42-r2 " +
		"scanelf-1.3.7-r2 ssl_client-1.36.1-r19 wget-1.21.4-r0 zlib-1.3.1-r0 alpine-minirootfs-3.19.4"
	if got := versions(t, l, "base-alpine"); got != base {
		t.Errorf("base:\n%s\nwant\n%s", got, base)
	}
	if got := versions(t, l, "tools"); got != "jq-1.7.1-r0 oniguruma-6.9.9-r0" {
		t.Errorf("child: %s", got)
	}
	locked, _ := l.Image(recipes.Ref{Name: "base-alpine"}, recipes.LinuxAMD64)
	root := locked.Artifacts[len(locked.Artifacts)-1]
	inRoot := 0
	for _, a := range locked.Artifacts[:len(locked.Artifacts)-1] {
		switch strings.HasSuffix(a.Path, ".apk") {
		case true:
			if a.Name == "libcrypto3" || a.SHA256 == root.SHA256 {
				t.Errorf("%s is not fetched from %s", a.Name, a.Path)
			}
		case false:
			inRoot++
			if a.SHA256 != root.SHA256 || a.Path != root.Path || a.Checksum == "" {
				t.Errorf("%s is in the root, and locked as %+v", a.Name, a)
			}
		}
	}
	if inRoot != 15 {
		t.Errorf("%d packages in the minirootfs, want 15", inRoot)
	}
	again := mustLock(t, set, nil, alpineOptions(t, shared(t)))
	if text(t, again.Lock) != text(t, l) {
		t.Error("resolving twice gave two locks")
	}
}

// A complete lock is used as it is; one that lacks an image is filled from
// the same indexes, which the store has kept; --locked refuses that.
func TestAlpineLockIsFilled(t *testing.T) {
	mirror := copyMirror(t)
	o := alpineOptions(t, mirror)
	set := alpineSet(t)
	part := o
	part.Images = []recipes.Ref{{Name: "base-alpine"}}
	old := mustLock(t, set, nil, part).Lock
	if len(old.Images) != 1 {
		t.Fatalf("%d images are locked, want the base alone", len(old.Images))
	}
	if r := mustLock(t, set, old, part); r.Changed || r.Lock != old {
		t.Error("a complete lock was changed")
	}

	locked := o
	locked.Locked = true
	var outdated *OutdatedError
	if _, err := Lock(t.Context(), set, old, recipes.Alpine, locked); !errors.As(err, &outdated) {
		t.Errorf("--locked: %v", err)
	}

	// The mirror's index is gone, the store still has it.
	if err := os.RemoveAll(filepath.Join(mirror, "v3.19/main/x86_64/APKINDEX.tar.gz")); err != nil {
		t.Fatal(err)
	}
	r := mustLock(t, set, old, o)
	if !r.Changed || r.Lock.Date != old.Date || len(r.Changes) != 2 {
		t.Errorf("changes %v", r.Changes)
	}
	if versions(t, r.Lock, "base-alpine") != versions(t, old, "base-alpine") {
		t.Error("the base changed when a child was added")
	}

	// Store and mirror have lost it: all is resolved anew, which fails here.
	bare := alpineOptions(t, mirror)
	var missing *fetch.MirrorError
	if _, err := Lock(t.Context(), set, old, recipes.Alpine, bare); !errors.As(err, &missing) {
		t.Errorf("without index: %v", err)
	}
}

// Where the mirror has a newer index under the name of the locked one, and the
// store has neither, everything that is locked is resolved anew: what is added
// must not stand on another snapshot than the rest.
func TestANewerIndexHasTakenTheName(t *testing.T) {
	mirror := copyMirror(t)
	set := alpineSet(t)
	part := alpineOptions(t, mirror)
	part.Images = []recipes.Ref{{Name: "base-alpine"}}
	old := mustLock(t, set, nil, part).Lock

	main, community := filepath.Join(mirror, "v3.19/main/x86_64"), filepath.Join(mirror, "v3.19/community/x86_64")
	err := errors.Join(os.RemoveAll(community), os.Rename(main, community), os.CopyFS(main, os.DirFS(filepath.Join(shared(t), "iso-3.19.1/x86_64"))))
	if err != nil {
		t.Fatal(err)
	}
	r := mustLock(t, set, old, alpineOptions(t, mirror))
	if len(r.Lock.Images) != 2 || len(r.Lock.Indexes) != 2 {
		t.Fatalf("%d images, %d indexes", len(r.Lock.Images), len(r.Lock.Indexes))
	}
	for _, index := range r.Lock.Indexes {
		if slices.Contains(old.Indexes, index) {
			t.Errorf("%s is still that of the old lock", index.Path)
		}
	}
}

// Whatever makes a lock be resolved anew leaves it on its branch; another one
// is taken only where it is asked for, and then for everything.
func TestALockStaysOnItsBranch(t *testing.T) {
	o := alpineOptions(t, shared(t))
	set := alpineSet(t)
	old := mustLock(t, set, nil, o).Lock
	o.Release, o.Refresh = "", true
	if r := mustLock(t, set, old, o); r.Lock.Release != "v3.19" || len(r.Changes) > 0 {
		t.Errorf("release %s, changes %v", r.Lock.Release, r.Changes)
	}
	o.Release, o.Refresh, o.Locked = "v3.18", false, true
	var outdated *OutdatedError
	if _, err := Lock(t.Context(), set, old, recipes.Alpine, o); !errors.As(err, &outdated) || !strings.Contains(err.Error(), "v3.18, the lock is of v3.19") {
		t.Errorf("--locked: %v", err)
	}
	o.Locked = false
	var missing *fetch.MirrorError
	if _, err := Lock(t.Context(), set, old, recipes.Alpine, o); !errors.As(err, &missing) || !strings.HasPrefix(missing.Path, "v3.18/") {
		t.Errorf("another branch: %v", err)
	}
}

// A changed encoder or Go version changes the lock, and --locked says so.
func TestToolsAreLocked(t *testing.T) {
	o := alpineOptions(t, shared(t))
	set := alpineSet(t)
	old := mustLock(t, set, nil, o).Lock
	o.LayerFormat = 1
	if r := mustLock(t, set, old, o); r.Changed {
		t.Error("a lock that does not say the format of layers is not taken for one of format 1")
	}
	o.LayerFormat = 2
	if r := mustLock(t, set, old, o); !r.Changed || r.Lock.LayerFormat != 2 || len(r.Changes) != 0 {
		t.Errorf("changed %v, format of layers %d, changes %v", r.Changed, r.Lock.LayerFormat, r.Changes)
	}
	o.Encoder, o.LayerFormat = "test 2", 0
	r := mustLock(t, set, old, o)
	if !r.Changed || r.Lock.Encoder != "test 2" || len(r.Changes) != 0 {
		t.Errorf("changed %v, encoder %s, changes %v", r.Changed, r.Lock.Encoder, r.Changes)
	}
	if versions(t, r.Lock, "tools") != versions(t, old, "tools") {
		t.Error("another encoder changed packages")
	}
	o.Locked = true
	if _, err := Lock(t.Context(), set, old, recipes.Alpine, o); err == nil || !strings.Contains(err.Error(), "test 2") {
		t.Errorf("--locked: %v", err)
	}
}

// copyMirror gives a mirror folder that a test may change.
func copyMirror(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, below := range []string{"v3.19/main/x86_64", "v3.19/community/x86_64", "v3.19/releases"} {
		if err := os.CopyFS(filepath.Join(dir, below), os.DirFS(filepath.Join(shared(t), below))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAlpineErrors(t *testing.T) {
	set := func(packages string) *recipes.Set {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/alpine")); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "tools/recipe.yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Replace(data, []byte("packages: [jq]"), []byte("packages: "+packages), 1)
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := recipes.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	o := alpineOptions(t, shared(t))
	old := mustLock(t, alpineSet(t), nil, o).Lock
	before := text(t, old)
	for packages, want := range map[string][]string{
		"[no-such-package]": {"image tools", "layer jq", "no-such-package"},
		"[jq=9.9]":          {"image tools", "layer jq", "jq"},
		"[curl]":            {"image tools", "curl 8.5.0-r0", "v3.19/main/x86_64/curl-8.5.0-r0.apk"}, // in the index, not on this mirror
	} {
		_, err := Lock(t.Context(), set(packages), old, recipes.Alpine, o)
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want %q", packages, err, part)
			}
		}
	}
	if text(t, old) != before {
		t.Error("a resolution that failed changed the old lock")
	}
}
