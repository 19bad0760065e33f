package layers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

func TestSourceDate(t *testing.T) {
	s := fetchtest.NewStore(t)
	at := time.Unix(1234567890, 0)
	r := tar.NewReader(bytes.NewReader(unzip(t, readBlob(t, s, mustWrite(t, s, exampleTree(t), Options{Epoch: epoch, SourceDate: at})))))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(at) {
			t.Errorf("%s has time %s", h.Name, h.ModTime)
		}
	}
}

type failing struct{ err error }

func (f failing) Open(context.Context) (io.ReadCloser, error) { return nil, f.err }

// TestWrongContent holds that a layer never keeps what its tree does not say.
func TestWrongContent(t *testing.T) {
	for want, content := range map[string]rootfs.Content{
		"not at hand":         nil,
		"disk on fire":        failing{errors.New("disk on fire")},
		"holds sha256 e3b0c4": rootfs.Bytes(nil),
		"in 4 bytes, not":     rootfs.Bytes("abcdef"),
		"holds sha256 a52d15": rootfs.Bytes("abd"),
	} {
		s := fetchtest.NewStore(t)
		e := file("a", "pkg:x", 0o644, []byte("abc"))
		e.Content = content
		tree := rootfs.NewTree(nil)
		if err := tree.Add(e); err != nil {
			t.Fatal(err)
		}
		_, err := Write(context.Background(), s, tree.Own(), Options{Name: "postgresql/server"})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "pack layer postgresql/server: a of pkg:x") {
			t.Errorf("error %v, want one with %q", err, want)
		}
		left, err := filepath.Glob(filepath.Join(s.Dir(), "tmp", "*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left over: %v %v", left, err)
		}
	}
}

func TestArrangeRefuses(t *testing.T) {
	e := file("a", "pkg:x", 0o644, nil)
	if _, err := arrange([]rootfs.Entry{e, e}); err == nil {
		t.Error("the same path twice went through")
	}
	link := rootfs.Entry{Path: "b", Type: rootfs.Hardlink, Link: "a", Owner: "pkg:y"}
	if _, err := arrange([]rootfs.Entry{e, link}); err == nil {
		t.Error("a hard link into another member went through")
	}
}

func TestCancel(t *testing.T) {
	s := fetchtest.NewStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	e := file("a", "pkg:x", 0o644, noise(3*chunkSize, 1))
	e.Content = cancelling{e.Content, cancel}
	tree := rootfs.NewTree(nil)
	if err := tree.Add(e); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(ctx, s, tree.Own(), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// cancelling cancels the work as soon as its content is opened.
type cancelling struct {
	rootfs.Content
	cancel func()
}

func (c cancelling) Open(ctx context.Context) (io.ReadCloser, error) {
	r, err := c.Content.Open(ctx)
	c.cancel()
	return r, err
}

func TestCacheRemembers(t *testing.T) {
	s := fetchtest.NewStore(t)
	tree := exampleTree(t)
	in := Inputs{Entries: tree.Own(), Epoch: epoch}
	if _, ok := Cached(s, Key(in)); ok {
		t.Fatal("cached before it was packed")
	}
	b := mustWrite(t, s, tree, Options{Epoch: epoch})
	if err := Keep(s, Key(in), b); err != nil {
		t.Fatal(err)
	}
	got, ok := Cached(s, Key(in))
	if diff := cmp.Diff(b, got); !ok || diff != "" {
		t.Fatal(diff)
	}
	entries, err := LoadEntries(context.Background(), s, got)
	if err != nil {
		t.Fatal(err)
	}
	again := Inputs{Entries: entries, Epoch: epoch}
	if Key(again) != Key(in) {
		t.Error("the entries that were read back have another key")
	}
	for what, other := range map[string]Inputs{
		"entries":     {Entries: in.Entries[1:], Epoch: epoch},
		"compression": {Entries: in.Entries, Epoch: epoch, Compression: Zstd},
		"epoch":       {Entries: in.Entries, Epoch: epoch.Add(time.Second)},
		"source date": {Entries: in.Entries, Epoch: epoch, SourceDate: epoch},
	} {
		if Key(other) == Key(in) {
			t.Errorf("the key does not depend on the %s", what)
		}
	}
	path, err := s.Path(context.Background(), b.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, ok := Cached(s, Key(in)); ok {
		t.Error("a blob that is gone still counts")
	}
	if _, err := s.Open(context.Background(), b.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
