package archive

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// An archive that was read before is not read again: not even to see what it
// is. What is read of it then is still held to its digest.
func TestExpandKnown(t *testing.T) {
	zipped := makeZip(t, zipMember{name: "a", data: "alpha"})
	for name, data := range map[string][]byte{
		"tar": makeTar(t, file("a", "alpha")), "packed tar": archivetest.Gzip(t, makeTar(t, file("a", "alpha"))), "zip": zipped,
	} {
		t.Run(name, func(t *testing.T) {
			s := fetchtest.NewStore(t)
			blob := fetchtest.Put(t, s, data)
			first, err := Expand(t.Context(), s, blob, "x", Limits{})
			if err != nil {
				t.Fatal(err)
			}
			path, err := s.Path(t.Context(), blob)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(path), os.WriteFile(path, bytes.Repeat([]byte("x"), len(data)), 0o444)); err != nil {
				t.Fatal(err)
			}
			again, err := Expand(t.Context(), s, blob, "x", Limits{})
			if err != nil || paths(again) != paths(first) {
				t.Fatalf("got %s, %v", paths(again), err)
			}
			r, err := again[0].Content.Open(t.Context())
			if name == "packed tar" {
				// Its files were put into an object of their own.
				if err != nil || contentOf(t, again[0]) != "alpha" {
					t.Errorf("content: %v", err)
				}
				return
			}
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if err == nil {
				t.Error("bytes of another archive are taken")
			}
		})
	}
}
