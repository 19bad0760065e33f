package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
)

func sum(data []byte) recipes.Digest {
	h := sha256.Sum256(data)
	return recipes.Digest(hex.EncodeToString(h[:]))
}

// layer packs members, content by name, into a layer file.
func layer(t *testing.T, members ...tar.Header) Layer {
	t.Helper()
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, h := range members {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = "bytes of " + h.Name
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	packed := archivetest.Gzip(t, plain.Bytes())
	file := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(file, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	return Layer{File: file, Digest: sum(packed), DiffID: sum(plain.Bytes()), Size: int64(len(packed))}
}

func dir(name string) tar.Header  { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
func file(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
func link(kind byte, name, to string) tar.Header {
	return tar.Header{Typeflag: kind, Name: name, Linkname: to}
}

func read(t *testing.T, root, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Layers lie on one another: files replace, whiteouts take away, links stay
// links, and the tree says what the disk has.
func TestLayers(t *testing.T) {
	root := t.TempDir()
	// Who is not root removes nothing from a folder that it cannot write to.
	t.Cleanup(func() { os.Chmod(filepath.Join(root, "closed"), 0o755) })
	closed := dir("closed")
	closed.Mode = 0o555
	tree, err := Image(t.Context(), root, []Layer{
		layer(t, dir("etc"), file("etc/a"), file("etc/b"), dir("gone"), file("gone/x"), dir("kept"), file("kept/old"), closed, file("closed/in"),
			file("was-file"), dir("was-dir"), file("was-dir/y"), link(tar.TypeSymlink, "bin", "usr/bin"), dir("usr/bin")),
		layer(t, file("etc/a"), link(tar.TypeLink, "etc/hard", "etc/b"), file(".wh.gone"), dir("kept"), file("kept/.wh..wh..opq"), file("kept/new"),
			dir("was-file"), file("was-dir"), file("no/parent/named"), file("bin/tool")),
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"etc/a": "bytes of etc/a", "etc/hard": "bytes of etc/b", "kept/new": "bytes of kept/new", "was-dir": "bytes of was-dir",
		"closed/in": "bytes of closed/in", "no/parent/named": "bytes of no/parent/named", "usr/bin/tool": "bytes of bin/tool",
	} {
		if got := read(t, root, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, gone := range []string{"gone", "gone/x", "kept/old", ".wh.gone", "was-dir/y"} {
		if _, err := os.Lstat(filepath.Join(root, gone)); err == nil {
			t.Errorf("%s is there", gone)
		}
		if _, ok := tree[gone]; ok {
			t.Errorf("the tree has %s", gone)
		}
	}
	a, _ := os.Stat(filepath.Join(root, "etc/b"))
	b, _ := os.Stat(filepath.Join(root, "etc/hard"))
	if !os.SameFile(a, b) {
		t.Error("a hard link is a file of its own")
	}
	info, err := os.Stat(filepath.Join(root, "closed"))
	if err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("closed: %v, %v", info.Mode(), err)
	}
	if tree["no/parent"].Type != tar.TypeDir || tree["bin"].Link != "usr/bin" {
		t.Errorf("the tree: %+v, %+v", tree["no/parent"], tree["bin"])
	}
}

// Setuid bits and devices are told of and never made.
func TestRightsAreNotGiven(t *testing.T) {
	root := t.TempDir()
	setuid := file("su")
	setuid.Mode = 0o4755
	capable := file("ping")
	capable.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}
	tree, err := Image(t.Context(), root, []Layer{layer(t, setuid, capable, tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3},
		tar.Header{Typeflag: tar.TypeFifo, Name: "pipe"})}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(root, "su"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("su: %v, %v", info.Mode(), err)
	}
	if tree["su"].Mode != 0o4755 || !tree["ping"].Capabilities || tree["null"].Type != tar.TypeChar {
		t.Errorf("the tree: %+v %+v %+v", tree["su"], tree["ping"], tree["null"])
	}
	for _, name := range []string{"null", "pipe"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
}

// Owners are written where they are asked for.
func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	root := t.TempDir()
	mine := file("mine")
	mine.Uid, mine.Gid, mine.Mode = 4711, 815, 0o640
	if _, err := Image(t.Context(), root, []Layer{layer(t, mine)}, Options{Owners: true}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(root, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid := owner(info); uid != 4711 || gid != 815 || info.Mode() != 0o640 {
		t.Errorf("%d:%d %v", uid, gid, info.Mode())
	}
}

// Nothing is written outside of the folder, whatever a layer says.
func TestNothingLeavesTheFolder(t *testing.T) {
	outside := t.TempDir()
	for name, members := range map[string][]tar.Header{
		"above":                {file("../escaped")},
		"absolute":             {file("/escaped")},
		"below and above":      {file("a/../../escaped")},
		"through a link":       {link(tar.TypeSymlink, "out", outside), file("out/escaped")},
		"through a relative":   {link(tar.TypeSymlink, "out", "../../../../../../.."+outside), file("out/escaped")},
		"folder through":       {link(tar.TypeSymlink, "out", outside), dir("out/escaped")},
		"link through":         {link(tar.TypeSymlink, "out", outside), link(tar.TypeSymlink, "out/escaped", "x")},
		"hard link out":        {link(tar.TypeLink, "escaped", "/etc/passwd")},
		"hard link above":      {link(tar.TypeLink, "escaped", "../../etc/passwd")},
		"hard link to nothing": {link(tar.TypeLink, "a", "b")},
		"hard link to folder":  {dir("d"), link(tar.TypeLink, "a", "d")},
		"whiteout above":       {file("../.wh.escaped")},
		"whiteout of dots":     {file("a/.wh...")},
		"whiteout of nothing":  {file(".wh.")},
		"own whiteout":         {file("a"), file(".wh.a")},
		"root as file":         {file(".")},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if _, err := Image(t.Context(), root, []Layer{layer(t, members...)}, Options{}); err == nil {
				t.Error("it was unpacked")
			}
			if left, _ := os.ReadDir(outside); len(left) != 0 {
				t.Errorf("outside: %v", left)
			}
			if _, err := os.Lstat(filepath.Join(filepath.Dir(root), "escaped")); err == nil {
				t.Error("a file escaped")
			}
		})
	}
}

// A symbolic link is replaced, not followed, by what stands at its own name.
func TestALinkIsReplaced(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Image(t.Context(), root, []Layer{layer(t, link(tar.TypeSymlink, "a", outside)), layer(t, file("a"))}, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, root, "a"); got != "bytes of a" {
		t.Errorf("a: %q", got)
	}
	if got := read(t, filepath.Dir(outside), "target"); got != "untouched" {
		t.Errorf("outside: %q", got)
	}
}

func TestWrongBytes(t *testing.T) {
	good := layer(t, file("a"))
	for name, change := range map[string]func(*Layer){
		"digest": func(l *Layer) { l.Digest = sum(nil) },
		"diffID": func(l *Layer) { l.DiffID = sum(nil) },
		"longer": func(l *Layer) {
			f, _ := os.OpenFile(l.File, os.O_APPEND|os.O_WRONLY, 0)
			f.WriteString("more")
			f.Close()
		},
	} {
		l := good
		l.File = filepath.Join(t.TempDir(), "layer")
		data, _ := os.ReadFile(good.File)
		os.WriteFile(l.File, data, 0o600)
		change(&l)
		if _, err := Image(t.Context(), t.TempDir(), []Layer{l}, Options{}); err == nil {
			t.Errorf("%s: it was unpacked", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Image(ctx, t.TempDir(), []Layer{good}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	good.DiffID = sum(nil)
	_, err := Image(t.Context(), t.TempDir(), []Layer{good}, Options{})
	if !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), string(good.Digest)) {
		t.Errorf("a wrong diffID: %v", err)
	}
}
