package layers

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

var epoch = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func file(path, owner string, mode uint32, data []byte) rootfs.Entry {
	e := rootfs.NewFile(path, mode, data)
	e.Owner = owner
	return e
}

// noise is incompressible and the same everywhere.
func noise(n int, seed byte) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

// exampleTree holds every kind of entry and every reason for a pax record.
func exampleTree(t testing.TB) *rootfs.Tree {
	t.Helper()
	long := strings.Repeat("long-name/", 12)
	old := time.Date(2019, 3, 1, 1, 2, 3, 999, time.UTC)
	ping := file("usr/bin/ping", "pkg:deb/debian/iputils-ping@1", 0o4755, []byte("ping"))
	ping.XAttrs = map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}
	ping.ModTime = epoch.Add(time.Hour)
	many := file("var/lib/x", "pkg:deb/debian/zoo@2", 0o640, nil)
	many.UID, many.GID, many.ModTime = 3000000, 70, old
	words := file("usr/share/words", "pkg:deb/debian/alpha@1", 0o644, bytes.Repeat(sample(), 3))
	words.ModTime = old
	tree := rootfs.NewTree(nil)
	for _, e := range []rootfs.Entry{
		{Path: "tmp", Type: rootfs.Directory, Mode: 0o1777, Owner: "recipe:base/directories/tmp"},
		{Path: "lib", Type: rootfs.Symlink, Link: "usr/lib", Owner: "recipe:base/links/lib"},
		file("etc/passwd", "recipe:base/accounts", 0o644, []byte("root:x:0:0::/root:/bin/sh\n")),
		ping, many, words,
		file("lib/big.jar", "pkg:maven/a/b@1", 0o644, noise(chunkSize+3*block, 7)),
		file("usr/share/"+long+"a", "pkg:deb/debian/zoo@2", 0o644, []byte("prefix")),
		file("usr/share/"+long+long+"b", "pkg:deb/debian/zoo@2", 0o644, []byte("pax")),
		file("usr/share/Főtanúsítvány.crt", "pkg:deb/debian/zoo@2", 0o644, []byte("utf-8")),
		{Path: "a-link", Type: rootfs.Hardlink, Link: "usr/share/words", Owner: "pkg:deb/debian/alpha@1"},
		{Path: "sym", Type: rootfs.Symlink, Link: "/" + long + "target", Owner: "pkg:deb/debian/alpha@1"},
	} {
		if err := tree.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func mustWrite(t testing.TB, s *fetch.Store, tree *rootfs.Tree, o Options) Blob {
	t.Helper()
	o.Name = t.Name()
	b, err := Write(context.Background(), s, tree.Own(), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readBlob(t testing.TB, s *fetch.Store, b Blob) []byte {
	t.Helper()
	f, err := s.Open(context.Background(), b.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unzip(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data)) // the standard library's
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestLayerReadsBackWhole(t *testing.T) {
	s := fetchtest.NewStore(t)
	tree := exampleTree(t)
	b := mustWrite(t, s, tree, Options{Epoch: epoch})
	stream := unzip(t, readBlob(t, s, b))
	if sum := sha256.Sum256(stream); recipes.Digest(hex.EncodeToString(sum[:])) != b.DiffID || int64(len(stream)) != b.Uncompressed {
		t.Errorf("diffID or length is not that of the stream: %+v", b)
	}
	var got []string
	times := map[string]int64{}
	r := tar.NewReader(bytes.NewReader(stream))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		got = append(got, name)
		times[name] = h.ModTime.Unix()
		e, ok := tree.Lookup(name)
		if !ok {
			t.Fatalf("%s is not in the tree", name)
		}
		checkHeader(t, h, tree, e)
		if e.Type == rootfs.Regular {
			hash := sha256.New()
			if _, err := io.Copy(hash, r); err != nil || recipes.Digest(hex.EncodeToString(hash.Sum(nil))) != e.SHA256 {
				t.Errorf("%s: content: %v", name, err)
			}
		}
	}
	long := strings.Repeat("long-name/", 12)
	var dirs []string
	for _, e := range tree.Own() {
		if e.Type == rootfs.Directory {
			dirs = append(dirs, e.Path)
		}
	}
	want := append(dirs, "sym", "usr/share/words", "a-link", "usr/bin/ping",
		"usr/share/Főtanúsítvány.crt", "usr/share/"+long+"a", "usr/share/"+long+long+"b", "var/lib/x",
		"usr/lib/big.jar", "etc/passwd", "lib")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order: %s", diff)
	}
	for name, want := range map[string]int64{
		"usr/bin/ping": epoch.Unix(), "usr/share/words": 1551402123, "a-link": 1551402123,
		"usr": plainTime.Unix(), "etc/passwd": plainTime.Unix(), "usr/lib/big.jar": plainTime.Unix(),
	} {
		if times[name] != want {
			t.Errorf("%s has time %d, want %d", name, times[name], want)
		}
	}
}

func checkHeader(t *testing.T, h *tar.Header, tree *rootfs.Tree, e rootfs.Entry) {
	t.Helper()
	flags := map[rootfs.Type]byte{rootfs.Regular: tar.TypeReg, rootfs.Directory: tar.TypeDir, rootfs.Symlink: tar.TypeSymlink, rootfs.Hardlink: tar.TypeLink}
	link := e.Link
	if e.Type == rootfs.Hardlink {
		e, _ = tree.Lookup(e.Link)
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	}
	if h.Typeflag != flags[e.Type] || h.Mode != int64(e.Mode) || h.Uid != e.UID || h.Gid != e.GID || h.Size != e.Size || h.Linkname != link {
		t.Errorf("%s: header %+v, entry %+v", e.Path, h, e)
	}
	if h.Uname != "" || h.Gname != "" {
		t.Errorf("%s: named owner %q %q", e.Path, h.Uname, h.Gname)
	}
	for key, value := range e.XAttrs {
		if h.PAXRecords["SCHILY.xattr."+key] != value {
			t.Errorf("%s: %s is lost", e.Path, key)
		}
	}
}

// TestSameBytes packs with 1, 2 and 8 processors and pools of other sizes.
func TestSameBytes(t *testing.T) {
	for _, c := range []Compression{Gzip, Zstd} {
		var want Blob
		for i, jobs := range []int{1, 2, 8} {
			before := runtime.GOMAXPROCS(jobs)
			got := mustWrite(t, fetchtest.NewStore(t), exampleTree(t), Options{Compression: c, Epoch: epoch, Pool: NewPool(jobs)})
			runtime.GOMAXPROCS(before)
			if i == 0 {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s with %d jobs: %s", c, jobs, diff)
			}
		}
	}
}

// TestMembers holds the compressed form: one gzip member for the directories,
// one for each package, one for what recipes made, chunks of the fixed size,
// and headers that say nothing of where and when.
func TestMembers(t *testing.T) {
	s := fetchtest.NewStore(t)
	data := readBlob(t, s, mustWrite(t, s, exampleTree(t), Options{Epoch: epoch}))
	in := bytes.NewReader(data)
	z, err := kgzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for {
		z.Multistream(false)
		if z.Name != "" || z.Comment != "" || z.Extra != nil || (!z.ModTime.IsZero() && z.ModTime.Unix() != 0) || z.OS != 255 {
			t.Errorf("member %d: header %+v", len(sizes), z.Header)
		}
		n, err := io.Copy(io.Discard, z)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, n)
		if err := z.Reset(in); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	// directories, alpha, iputils-ping, zoo, two chunks of the jar, recipe's, trailer
	if len(sizes) != 8 || sizes[4] != chunkSize || sizes[7] != 2*block {
		t.Errorf("members of %d bytes", sizes)
	}
}

func TestZstdReadsBack(t *testing.T) {
	s := fetchtest.NewStore(t)
	b := mustWrite(t, s, exampleTree(t), Options{Compression: Zstd, Epoch: epoch})
	gz := mustWrite(t, s, exampleTree(t), Options{Epoch: epoch})
	z, err := zstd.NewReader(bytes.NewReader(readBlob(t, s, b)))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, z); err != nil {
		t.Fatal(err)
	}
	if recipes.Digest(hex.EncodeToString(hash.Sum(nil))) != b.DiffID || b.DiffID != gz.DiffID {
		t.Error("zstd and gzip do not hold the same stream")
	}
	if b.MediaType == gz.MediaType {
		t.Error("one media type for two compressions")
	}
}
