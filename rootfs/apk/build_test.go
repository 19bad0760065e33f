package apk

import (
	"archive/tar"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
)

// file is a member of a made-up segment; a type other than zero is a link or
// a folder.
type file struct {
	name, data, link string
	kind             byte
}

// segmentOf makes a gzip member with a tar stream, cut before its end marker
// unless whole is set.
func segmentOf(t testing.TB, whole bool, list ...file) []byte {
	t.Helper()
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, f := range list {
		kind := f.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		h := &tar.Header{Name: f.name, Typeflag: kind, Linkname: f.link, Mode: 0o644, Size: int64(len(f.data))}
		if kind == tar.TypeDir {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.data)); err != nil {
			t.Fatal(err)
		}
	}
	if whole {
		w.Close()
	} else {
		w.Flush()
	}
	return archivetest.Gzip(t, plain.Bytes())
}

// sample is a made-up package and what lock and index would say of it.
type sample struct {
	signature, control, data []byte
	artifact                 recipes.Artifact
}

// sampleOf makes a package with good links; info gets the data's hash.
func sampleOf(t testing.TB, info string, data ...file) sample {
	t.Helper()
	s := sample{data: segmentOf(t, true, data...)}
	sum := sha256.Sum256(s.data)
	s.control = segmentOf(t, false, file{name: ".PKGINFO", data: fmt.Sprintf(info, hex.EncodeToString(sum[:]))}, file{name: ".post-install", data: "#!/bin/sh\n"})
	s.signature = segmentOf(t, false, file{name: ".SIGN.RSA.someone.rsa.pub", data: "bytes"})
	control := sha1.Sum(s.control)
	s.artifact = recipes.Artifact{
		Kind: recipes.KindAPK, Name: "sample", Version: "1.0-r0", PURL: "pkg:apk/alpine/sample@1.0-r0?arch=x86_64",
		Checksum: writeQ1(control[:]), Archive: Archive, Path: "v1/main/x86_64/sample-1.0-r0.apk",
	}
	return s
}

// bytes is the package file.
func (s sample) bytes() []byte {
	return bytes.Join([][]byte{s.signature, s.control, s.data}, nil)
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func hexed(b []byte) string { return hex.EncodeToString(b) }
