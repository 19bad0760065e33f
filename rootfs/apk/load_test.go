package apk

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// mirror is a fetcher on a folder.
func mirror(t testing.TB, dir string) *fetch.Fetcher {
	t.Helper()
	return &fetch.Fetcher{Store: fetchtest.NewStore(t), Mirrors: fetch.Mirrors{Archive: {"file:" + dir}}}
}

// noHost keeps the keys of the machine that tests run on out of them.
func noHost(t testing.TB) []string { return []string{filepath.Join(t.TempDir(), "none")} }

// TestLoadRealBranch takes the keys from the minirootfs, by fingerprint, and
// loads the real, signed indexes.
func TestLoadRealBranch(t *testing.T) {
	f := mirror(t, shared(t))
	o := LoadOptions{Branch: "v3.19", Arch: "x86_64", HostKeys: noHost(t)}
	ix, err := Load(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	const want = 23030
	if n := len(ix.Packages); n != want {
		t.Errorf("%d packages, want %d", n, want)
	}
	if got := strings.Join(ix.Descriptions, " "); got != "v3.19.1-643-gec825d20535 v3.19.1-642-g9e5b575ce97" {
		t.Errorf("descriptions %q", got)
	}
	if got := ix.Date.Format("2006-01-02"); got != "2024-06-18" {
		t.Errorf("date %s", got)
	}
	reversed := []recipes.LockedIndex{ix.Locked[1], ix.Locked[0]}
	again, err := LoadLocked(t.Context(), f, o, reversed)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Packages) != len(ix.Packages) || again.Packages[0].Name != ix.Packages[0].Name {
		t.Error("the locked indexes give other packages")
	}
	reversed[0].SHA256 = recipes.Digest(strings.Repeat("0", 64))
	if _, err := LoadLocked(t.Context(), f, o, reversed); err == nil {
		t.Error("an index with another digest was taken")
	}
}

func TestFindRelease(t *testing.T) {
	f := mirror(t, shared(t))
	for arch, digest := range map[string]recipes.Digest{
		"x86_64":  "a2a87004e87720cbb0372c08b7de9b80748afdfd7fd72d2eab2ec0b074b92211",
		"aarch64": "8616879c6e0f3c1b02ab12e1d1fcd8c4189d2f46f61067f2a9428a4d1b440586",
	} {
		a, err := FindRelease(t.Context(), f, "v3.19", arch, Minirootfs)
		if err != nil {
			t.Fatal(err)
		}
		if a.Version != "3.19.4" || a.SHA256 != digest {
			t.Errorf("%s: %s %s", arch, a.Version, a.SHA256)
		}
	}
}

// TestFindReleaseYAML reads the list that Alpine's own mirror has.
func TestFindReleaseYAML(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "v3.99/releases/x86_64")
	file := "alpine-minirootfs-3.99.1-x86_64.tar.gz"
	content := []byte("no tarball, but what the list says")
	sum := sha256.Sum256(content)
	list := "---\n-\n  title: \"Standard\"\n  flavor: alpine-standard\n  file: alpine-standard-3.99.1-x86_64.iso\n  version: 3.99.1\n" +
		"-\n  title: \"Mini root filesystem\"\n  branch: v3.99\n  arch: x86_64\n  version: 3.99.1\n  flavor: alpine-minirootfs\n" +
		"  file: " + file + "\n  size: 34\n  sha256: " + hexed(sum[:]) + "\n"
	write(t, filepath.Join(folder, "latest-releases.yaml"), []byte(list))
	write(t, filepath.Join(folder, file), content)
	a, err := FindRelease(t.Context(), mirror(t, dir), "v3.99", "x86_64", Minirootfs)
	if err != nil {
		t.Fatal(err)
	}
	if a.Version != "3.99.1" || string(a.SHA256) != hexed(sum[:]) || a.Path != "v3.99/releases/x86_64/"+file {
		t.Errorf("%+v", a)
	}
	write(t, filepath.Join(folder, file), []byte("another file of just that size...."))
	if _, err := FindRelease(t.Context(), mirror(t, dir), "v3.99", "x86_64", Minirootfs); err == nil {
		t.Error("a tarball that differs from the list was taken")
	}
	write(t, filepath.Join(folder, "latest-releases.yaml"), []byte(strings.ReplaceAll(list, file, "../../"+file)))
	if _, err := FindRelease(t.Context(), mirror(t, dir), "v3.99", "x86_64", Minirootfs); err == nil {
		t.Error("a path in the list was followed out of its folder")
	}
}

// signer makes indexes of its own.
type signer struct {
	key  *rsa.PrivateKey
	name string
}

func newSigner(t testing.TB, name string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, name}
}

// public writes the public key into a keyring folder.
func (s signer) public(t testing.TB, dir string) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, s.name), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sign puts a signature segment in front of what is signed.
func (s signer) sign(t testing.TB, signed []byte, kind crypto.Hash) []byte {
	t.Helper()
	name, sum := signSHA1, func() []byte { d := sha1.Sum(signed); return d[:] }()
	if kind == crypto.SHA256 {
		d := sha256.Sum256(signed)
		name, sum = signSHA256, d[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, kind, sum)
	if err != nil {
		t.Fatal(err)
	}
	return append(segmentOf(t, false, file{name: name + s.name, data: string(signature)}), signed...)
}

const oneRecord = "C:Q1YCZ4e/kV0Uaynh14//zvTTyN7x8=\nP:one\nV:1.0-r0\nA:x86_64\nS:1\nI:1\n\n"

// TestIndexSignature holds what signature counts, and what does not.
func TestIndexSignature(t *testing.T) {
	const name = "someone@example.com-12345678.rsa.pub"
	owner, stranger := newSigner(t, name), newSigner(t, name)
	body := segmentOf(t, true, file{name: "DESCRIPTION", data: "mine"}, file{name: "APKINDEX", data: oneRecord})
	other := segmentOf(t, true, file{name: "DESCRIPTION", data: "mine"}, file{name: "APKINDEX", data: strings.ReplaceAll(oneRecord, "one", "two")})
	good := owner.sign(t, body, crypto.SHA1)
	head := len(good) - len(body)
	flipped := append([]byte(nil), good...)
	flipped[head+20] ^= 1
	cases := []struct {
		name    string
		data    []byte
		trusted bool
		fails   string
	}{
		{"SHA-1", good, true, ""},
		{"SHA-256", owner.sign(t, body, crypto.SHA256), true, ""},
		{"key not in the keyring", good, false, "none of these keys is known"},
		{"another key of the same name", stranger.sign(t, body, crypto.SHA1), true, "changed after it was signed"},
		{"other content", append(append([]byte(nil), good[:head]...), other...), true, "changed after it was signed"},
		{"a flipped bit", flipped, true, "changed after it was signed"},
		{"unsigned", body, true, "not signed"},
		{"bytes behind", append(append([]byte(nil), good...), "more"...), true, "changed after it was signed"},
		{"cut", good[:len(good)-30], true, "changed after it was signed"},
		{"signature alone", good[:head], true, "changed after it was signed"},
		{"empty", nil, true, "too short"},
		{"no gzip", []byte("<html>404</html>"), true, "gzip"},
		{"apk 3", []byte("ADB.and more of it"), true, "ADB format"},
		{"signed, no index in it", owner.sign(t, segmentOf(t, true, file{name: "README", data: "x"}), crypto.SHA1), true, "no APKINDEX"},
		{"signed twice over", owner.sign(t, append(append([]byte(nil), body...), body...), crypto.SHA1), true, "bytes follow"},
		{"signed, bad record", owner.sign(t, segmentOf(t, true, file{name: "APKINDEX", data: "P:../../etc\nV:1\n\n"}), crypto.SHA1), true, "no package name"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, keyring := t.TempDir(), t.TempDir()
			write(t, filepath.Join(dir, "v1/main/x86_64/APKINDEX.tar.gz"), c.data)
			if c.trusted {
				owner.public(t, keyring)
			} else {
				newSigner(t, "other.rsa.pub").public(t, keyring)
			}
			f := mirror(t, dir)
			ix, err := Load(context.Background(), f, LoadOptions{Branch: "v1", Arch: "x86_64", Repositories: []string{"main"}, Keyring: keyring, HostKeys: noHost(t)})
			if c.fails == "" {
				if err != nil {
					t.Fatal(err)
				}
				if len(ix.Packages) != 1 || ix.Descriptions[0] != "mine" {
					t.Errorf("%+v", ix)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("want an error with %q, got %v", c.fails, err)
			}
			if !strings.Contains(err.Error(), "v1/main/x86_64/APKINDEX.tar.gz") {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

// TestUnlistedKeyOfHost: a key that is not Alpine's counts only from the
// keyring, not from the folders of the host.
func TestUnlistedKeyOfHost(t *testing.T) {
	owner := newSigner(t, "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub")
	dir, host := t.TempDir(), t.TempDir()
	owner.public(t, host)
	write(t, filepath.Join(dir, "v1/main/x86_64/APKINDEX.tar.gz"), owner.sign(t, segmentOf(t, true, file{name: "APKINDEX", data: oneRecord}), crypto.SHA1))
	o := LoadOptions{Branch: "v1", Arch: "x86_64", Repositories: []string{"main"}, HostKeys: []string{host}}
	if _, err := Load(t.Context(), mirror(t, dir), o); err == nil {
		t.Fatal("an unlisted key of the host counted")
	}
	o.Keyring = host
	if _, err := Load(t.Context(), mirror(t, dir), o); err != nil {
		t.Fatal(err)
	}
}

// TestRealKeysAreListed holds the fingerprints to Alpine's own key files.
func TestRealKeysAreListed(t *testing.T) {
	keys, err := readKeys(shared(t, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, k := range keys {
		if k.Listed("x86_64") {
			count++
		}
		if k.Listed("aarch64") {
			t.Errorf("%s of the x86_64 minirootfs is listed for aarch64", k.Name)
		}
	}
	if count != len(listed["x86_64"]) {
		t.Errorf("%d of %d keys found", count, len(listed["x86_64"]))
	}
	archive, err := os.Open(shared(t, "v3.19/releases/aarch64/alpine-minirootfs-3.19.4-aarch64.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	inRoot, err := keysInRoot(archive)
	if err != nil {
		t.Fatal(err)
	}
	if !hasListed(inRoot, "aarch64") {
		t.Error("the aarch64 minirootfs has no listed key")
	}
}

// TestMirrorGone names the mirror that was asked.
func TestMirrorGone(t *testing.T) {
	dir := t.TempDir()
	keyring := t.TempDir()
	newSigner(t, "k.rsa.pub").public(t, keyring)
	_, err := Load(t.Context(), mirror(t, dir), LoadOptions{Branch: "v1", Arch: "x86_64", Keyring: keyring, HostKeys: noHost(t)})
	var gone *fetch.MirrorError
	if !errors.As(err, &gone) || !gone.NotFound() {
		t.Fatalf("want a MirrorError, got %v", err)
	}
}
