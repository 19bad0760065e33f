package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// earlyFetch downloads an artefact from a folder with Early, and says whether
// Expand will have to read it.
func earlyFetch(t *testing.T, s *fetch.Store, kind recipes.Kind, data []byte, want recipes.Digest) (known bool, err error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	f := &fetch.Fetcher{Store: s, Mirrors: fetch.Mirrors{"m": {"file:" + dir}}, Early: Early(s, 1)}
	err = f.Artifact(t.Context(), recipes.Artifact{Kind: kind, Name: "a", Version: "1", Archive: "m", Path: "a", SHA256: want, Size: int64(len(data))})
	_, known = knownTar(s, string(want), nil, Limits{})
	return known, err
}

// What was read during the download is what Expand would have read.
func TestEarlyIsWhatExpandReads(t *testing.T) {
	tarred := makeTar(t, dir("d"), file("d/a", "alpha"), file("b", string(bytes.Repeat([]byte("beta"), 100_000))))
	for name, c := range map[string]struct {
		kind  recipes.Kind
		data  []byte
		known bool
	}{
		"tar":         {recipes.KindTarball, tarred, true},
		"packed tar":  {recipes.KindMaven, archivetest.Gzip(t, tarred), true},
		"zip":         {recipes.KindTarball, makeZip(t, zipMember{name: "a", data: "alpha"}), false},
		"package":     {recipes.KindAPK, archivetest.Gzip(t, tarred), false},
		"a few bytes": {recipes.KindTarball, []byte("#!/bin/sh\n"), false},
		"no archive":  {recipes.KindTarball, bytes.Repeat([]byte("text\n"), 1000), false},
		"broken tar":  {recipes.KindTarball, tarred[:len(tarred)-5000], false},
	} {
		t.Run(name, func(t *testing.T) {
			s, plain := fetchtest.NewStore(t), fetchtest.NewStore(t)
			blob := fetchtest.Put(t, plain, c.data)
			known, err := earlyFetch(t, s, c.kind, c.data, blob)
			if err != nil || known != c.known {
				t.Fatalf("known: %t, %v", known, err)
			}
			if !known {
				return
			}
			want, err := Expand(t.Context(), plain, blob, "x", Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := Expand(t.Context(), s, blob, "x", Limits{})
			if err != nil || len(got) != len(want) {
				t.Fatalf("%d entries of %d, %v", len(got), len(want), err)
			}
			for i := range got {
				bytesEqual := got[i].Content == nil || contentOf(t, got[i]) == contentOf(t, want[i])
				got[i].Content, want[i].Content = nil, nil
				if !bytesEqual || got[i].Path != want[i].Path || got[i].SHA256 != want[i].SHA256 || got[i].SHA1 != want[i].SHA1 || got[i].Mode != want[i].Mode {
					t.Errorf("%+v, not %+v", got[i], want[i])
				}
			}
		})
	}
}

func TestEarlyKeepsNoIndexOfAnotherArchive(t *testing.T) {
	s := fetchtest.NewStore(t)
	right, wrong := makeTar(t, file("a", "alpha")), makeTar(t, file("a", "ALPHA"))
	want := fetchtest.Put(t, fetchtest.NewStore(t), right)
	known, err := earlyFetch(t, s, recipes.KindTarball, wrong, want)
	if err == nil || known {
		t.Fatalf("known: %t, %v", known, err)
	}
}

// One that comes while another is read is left to Expand.
func TestEarlyIsBounded(t *testing.T) {
	s := fetchtest.NewStore(t)
	read := Early(s, 1)
	tarball := recipes.Artifact{Kind: recipes.KindTarball, SHA256: fetchtest.Put(t, s, makeTar(t, file("a", "alpha")))}
	r, w := io.Pipe()
	first := make(chan func() error)
	go func() { first <- read(context.Background(), tarball, r) }()
	if _, err := w.Write([]byte("begun")); err != nil {
		t.Fatal(err)
	}
	if read(t.Context(), tarball, bytes.NewReader(makeTar(t, file("a", "alpha")))) != nil {
		t.Error("two are read at a time")
	}
	w.CloseWithError(errors.New("cut"))
	if <-first != nil {
		t.Error("something is kept of a cut archive")
	}
	if read(t.Context(), tarball, bytes.NewReader(makeTar(t, file("a", "alpha")))) == nil {
		t.Error("nothing is read once the first has ended")
	}
}

// BenchmarkCold fetches a tarball of 64 MB from a folder and expands it, which
// Early does at the same time.
func BenchmarkCold(b *testing.B) {
	data := makeTar(b, file("a", string(bytes.Repeat([]byte("0123456789abcdef"), 4_000_000))))
	want := fetchtest.Put(b, fetchtest.NewStore(b), data)
	from := b.TempDir()
	if err := os.WriteFile(filepath.Join(from, "a"), data, 0o644); err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func(*fetch.Store, int) fetch.Early{
		"meanwhile": Early, "after": func(*fetch.Store, int) fetch.Early { return nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for range b.N {
				s := fetchtest.NewStore(b)
				f := &fetch.Fetcher{Store: s, Mirrors: fetch.Mirrors{"m": {"file:" + from}}, Early: read(s, 1)}
				a := recipes.Artifact{Kind: recipes.KindTarball, Name: "a", Archive: "m", Path: "a", SHA256: want, Size: int64(len(data))}
				if err := f.Artifact(b.Context(), a); err != nil {
					b.Fatal(err)
				}
				if _, err := Expand(b.Context(), s, want, "a", Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
