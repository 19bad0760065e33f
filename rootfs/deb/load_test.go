package deb

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

func TestLoadReadsASignedSuite(t *testing.T) {
	m := newMirror(t)
	m.add("hello", "1:2.10-3", "Source: hello-src (2.10-3)\n", nil)
	ix, err := m.load(t, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ix.Release != "13.8" || !ix.Date.Equal(m.date.Truncate(time.Second)) || ix.Len() != 1 {
		t.Errorf("release %q, date %v, %d packages", ix.Release, ix.Date, ix.Len())
	}
	if len(ix.Locked) != 1 || ix.Locked[0].Path != "dists/trixie/main/binary-amd64/Packages.xz" || ix.Locked[0].Archive != fetch.Debian {
		t.Errorf("locked: %+v", ix.Locked)
	}
	a := ix.Versions("hello")[0].Artifact("system")
	want := "pkg:deb/debian/hello@1:2.10-3?arch=amd64&distro=debian-13&upstream=hello-src%402.10-3"
	if a.PURL != want {
		t.Errorf("purl %s, want %s", a.PURL, want)
	}
	if a.Layer != "system" || a.Kind != recipes.KindDeb || a.Archive != fetch.Debian || a.Path != "pool/main/hello_1_2.10-3.deb" || a.Origin != "hello-src" {
		t.Errorf("artefact %+v", a)
	}
}

func TestLoadWithoutByHash(t *testing.T) {
	m := newMirror(t)
	m.byHash = false
	m.add("hello", "1", "", nil)
	if _, err := m.load(t, LoadOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestLoadRefuses breaks one link of the chain at a time.
func TestLoadRefuses(t *testing.T) {
	other := newKey(t, "somebody else")
	for _, c := range []struct {
		name, says string
		is         error
		opts       LoadOptions
		spoil      func(*mirror)
	}{
		{name: "no signature", spoil: func(m *mirror) { m.bare = true }, is: ErrUnsigned},
		{name: "changed text", spoil: func(m *mirror) {
			m.tamper = func(s string) string { return strings.Replace(s, "Version: 13.8", "Version: 13.9", 1) }
		}, says: "signature"},
		{name: "text before the signed part", spoil: func(m *mirror) { m.tamper = func(s string) string { return "Codename: trixie\n" + s } }, is: ErrUnsigned},
		{name: "text after the signature", spoil: func(m *mirror) { m.tamper = func(s string) string { return s + "SHA256:\n" } }, is: ErrUnsigned},
		{name: "another key", opts: LoadOptions{Keyring: keyFolder(t, other)}, says: "signed by none of the known keys"},
		{name: "expired", spoil: func(m *mirror) { m.until = today.Add(-time.Minute) }, is: ErrExpired},
		{name: "from the future", spoil: func(m *mirror) { m.date = today.Add(48 * time.Hour) }, says: "future"},
		{name: "another suite", spoil: func(m *mirror) { m.suite = "bookworm" }, says: "wanted trixie"},
		{name: "another list of the same size", spoil: func(m *mirror) {
			m.listed = func(b []byte) []byte { return bytes.Repeat([]byte{1}, len(b)) }
		}, says: "sha256"},
		{name: "another size", spoil: func(m *mirror) { m.size = 1 }, says: "bytes"},
		{name: "no such architecture", opts: LoadOptions{Arch: "arm64"}, says: "main/binary-arm64/Packages.xz"},
		{name: "damaged list", spoil: func(m *mirror) { m.packages = "Package hello\n" }, says: "neither a field nor a continuation"},
		{name: "list of another architecture", spoil: func(m *mirror) {
			m.packages = strings.Replace(m.packages, "Architecture: amd64", "Architecture: i386", 1)
		}, says: "i386"},
		{name: "path outside the pool", spoil: func(m *mirror) {
			m.packages = strings.Replace(m.packages, "pool/main/", "pool/../../", 1)
		}, says: "pool/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMirror(t)
			m.add("hello", "1", "", nil)
			if c.spoil != nil {
				c.spoil(m)
			}
			_, err := m.load(t, c.opts)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestSnapshotsMayBeOld(t *testing.T) {
	m := newMirror(t)
	m.until = today.Add(-24 * time.Hour)
	m.add("hello", "1", "", nil)
	if _, err := m.load(t, LoadOptions{Snapshot: true}); err != nil {
		t.Error(err)
	}
}

func TestAMirrorThatDoesNotVerifyIsPassedOver(t *testing.T) {
	bad, good := newMirror(t), newMirror(t)
	bad.add("hello", "1", "", nil)
	good.add("hello", "2", "", nil)
	f := good.serve(t)
	f.Mirrors[fetch.Debian] = append(bad.serve(t).Mirrors[fetch.Debian], f.Mirrors[fetch.Debian]...)
	ix, err := Load(context.Background(), f, LoadOptions{Keyring: keyFolder(t, good.key), Now: today, Suites: []Suite{{Archive: fetch.Debian, Name: "trixie"}}})
	if err != nil {
		t.Fatal(err)
	}
	if v := ix.Versions("hello"); len(v) != 1 || v[0].Version != "2" {
		t.Errorf("versions %v", v)
	}
}

func TestLoadLockedWantsTheSameList(t *testing.T) {
	m := newMirror(t)
	m.add("hello", "1", "", nil)
	f := m.serve(t)
	ctx := context.Background()
	ix, err := Load(ctx, f, LoadOptions{Keyring: keyFolder(t, m.key), Now: today, Suites: []Suite{{Archive: fetch.Debian, Name: "trixie"}}})
	if err != nil {
		t.Fatal(err)
	}
	again := m.serve(t)
	locked, err := LoadLocked(ctx, again, "amd64", ix.Release, ix.Locked)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := ix.Versions("hello")[0].Artifact(""), locked.Versions("hello")[0].Artifact(""); a != b {
		t.Errorf("%+v\n%+v", a, b)
	}
	m.add("hello", "2", "", nil)
	if _, err := LoadLocked(ctx, m.serve(t), "amd64", ix.Release, ix.Locked); err == nil {
		t.Error("another list was taken for the locked one")
	}
	if _, err := LoadLocked(ctx, again, "arm64", ix.Release, ix.Locked); err == nil {
		t.Error("a lock without arm64 gave an index for it")
	}
}

func TestKeyringFolders(t *testing.T) {
	if _, err := ReadKeyrings(t.TempDir()); err == nil {
		t.Error("an empty keyring folder was accepted")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad.gpg"), "no key")
	if _, err := ReadKeyrings(dir); err == nil || !strings.Contains(err.Error(), "bad.gpg") {
		t.Errorf("error: %v", err)
	}
	// A key that is not the archive's counts only from the user's folder.
	var k Keyring
	var b bytes.Buffer
	if err := newKey(t, "stranger").Serialize(&b); err != nil {
		t.Fatal(err)
	}
	if err := k.add(b.Bytes(), archiveKeys()); err != nil || len(k.keys) != 0 {
		t.Errorf("%d keys, %v", len(k.keys), err)
	}
	if err := k.add(b.Bytes(), nil); err != nil || len(k.keys) != 1 {
		t.Errorf("%d keys, %v", len(k.keys), err)
	}
}

// TestKeysFromTheMirror takes the real archive's keys out of its package.
func TestKeysFromTheMirror(t *testing.T) {
	f := hostFetcher(t)
	o := LoadOptions{}.withDefaults()
	keys, err := keysFromMirror(context.Background(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(keys.Fingerprints(), " ")
	for fingerprint := range archiveKeys() {
		if strings.Contains(fingerprint, "04B54C3C") && !strings.Contains(got, fingerprint) {
			t.Errorf("%s is not among %s", fingerprint, got)
		}
	}
	if _, err := loadRelease(context.Background(), f, o.Suites[0], o, keys); err != nil {
		t.Error(err)
	}
}

// BenchmarkPackages reads the package lists that SHUDL_TEST_PACKAGES names
// (a Packages.xz of trixie main) and reports what stays in memory.
func BenchmarkPackages(b *testing.B) {
	path := os.Getenv("SHUDL_TEST_PACKAGES")
	if path == "" {
		b.Skip("set SHUDL_TEST_PACKAGES to a Packages.xz")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		before := heap()
		u := newUniverse("amd64")
		if err := readList(bytes.NewReader(data), "amd64", u.add); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
		b.ReportMetric(float64(u.count), "packages")
	}
}
