package publish_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
)

var errRead = errors.New("a layer that did not change was read")

// unreadable makes reading a blob an error, also reading it in a layout: there
// its file gets other bytes, which nothing but reading tells.
func unreadable(t *testing.T, dest publish.Destination, b *publish.Blob) (restore func()) {
	t.Helper()
	b.Open = func(context.Context) (io.ReadCloser, error) { return nil, errRead }
	b.File = func(context.Context) (string, error) { return "", errRead }
	layout, ok := dest.(*publish.Layout)
	if !ok {
		return func() {}
	}
	path := filepath.Join(layout.Dir(), "postgresql", "blobs", "sha256", b.Digest.Encoded())
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, append([]byte{content[0] ^ 1}, content[1:]...))
	return func() { overwrite(t, path, content) }
}

// overwrite changes the bytes of a file and nothing else of it.
func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, content, 0o644), os.Chmod(path, 0o444),
		os.Chtimes(path, time.Time{}, info.ModTime())); err != nil {
		t.Fatal(err)
	}
}

// next is the release with another layer on the same base, under the same
// moving tags.
func next(t *testing.T, store, content string) publish.Release {
	t.Helper()
	s := postgresql()
	s.content, s.base = content, make([]byte, 300_000) // more than what is read back of a blob
	rand.NewChaCha8([32]byte{}).Read(s.base)
	r := withKeys(s.release(t, store))
	r.Fixed = "17.12-" + content
	r.Tags = []string{r.Fixed, "17.12", "latest"}
	r.Images[0].Attestations[0].Key = content
	return r
}

// TestOnlyTheChangedLayerIsSent pushes an image of which one layer changed:
// the other, the larger, is neither read nor sent, also to be read back, and
// the tags move onto a whole image.
func TestOnlyTheChangedLayerIsSent(t *testing.T) {
	for _, where := range everywhere(t) {
		t.Run(where.name, func(t *testing.T) {
			store, key := t.TempDir(), attesttest.NewKey(t)
			options := publish.Options{Signer: key, Memory: memory(t)}
			mustPublish(t, where.dest, next(t, store, "one"), options)
			for _, content := range []string{"two", "three"} {
				release := next(t, store, content)
				restore := unreadable(t, where.dest, &release.Images[0].Blobs[1])
				result := mustPublish(t, destination(t, where.dest.String()), release, options)
				restore()
				if len(result.Moved) != 3 {
					t.Errorf("%s: %+v", content, result)
				}
				repo, _ := where.dest.Repository("postgresql")
				if !complete(t, repo, "latest", key) {
					t.Error("no tag")
				}
			}
			release := next(t, store, "four")
			unreadable(t, where.dest, &release.Images[0].Blobs[1])
			options.Recheck = true
			if _, err := publish.Publish(t.Context(), where.dest, release, options); !errors.Is(err, errRead) {
				t.Errorf("looked at everything and read nothing: %v", err)
			}
		})
	}
}

// TestDamagedFileIsFoundBeforeATagMoves changes a byte of a layer that an
// earlier push had read back: its time is another, so it is read again.
func TestDamagedFileIsFoundBeforeATagMoves(t *testing.T) {
	dir, store, key := t.TempDir(), t.TempDir(), attesttest.NewKey(t)
	dest := destination(t, "oci:"+dir)
	options := publish.Options{Signer: key, Memory: memory(t)}
	first := next(t, store, "one")
	mustPublish(t, dest, first, options)
	path := filepath.Join(dir, "postgresql", "blobs", "sha256", first.Images[0].Blobs[1].Digest.Encoded())
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := errors.Join(os.Remove(path), os.WriteFile(path, content, 0o444)); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, destination(t, "oci:"+dir), next(t, store, "two"), options)
	repo, _ := dest.Repository("postgresql")
	if !complete(t, repo, "latest", key) {
		t.Error("no tag")
	}
}
