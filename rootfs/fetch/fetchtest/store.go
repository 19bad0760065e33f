// Package fetchtest gives tests stores of their own.
package fetchtest

import (
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// NewStore is an empty store, closed and deleted at the test's end.
func NewStore(t testing.TB) *fetch.Store {
	t.Helper()
	s, err := fetch.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Put makes an object of bytes and gives its sha256.
func Put(t testing.TB, s *fetch.Store, data []byte) recipes.Digest {
	t.Helper()
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	d, _, err := w.Commit("")
	if err != nil {
		t.Fatal(err)
	}
	return d
}
