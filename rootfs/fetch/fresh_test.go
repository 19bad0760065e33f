package fetch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

func TestFreshStoreIsEmptyAndGoes(t *testing.T) {
	s := newStore(t)
	d := put(t, s, "content")
	if err := s.SetRecord("layer", "key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	fresh, remove, err := s.Fresh()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := fresh.Has(d); ok {
		t.Error("a fresh store holds an object")
	}
	if _, ok := fresh.Record("layer", "key"); ok {
		t.Error("a fresh store knows a record")
	}
	readOnly := filepath.Join(fresh.Dir(), "modules", "a@v1")
	if err := errors.Join(os.MkdirAll(readOnly, 0o755), os.WriteFile(filepath.Join(readOnly, "f"), nil, 0o444), os.Chmod(readOnly, 0o555)); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(fresh.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if got := read(t, s, d); got != "content" {
		t.Errorf("the store lost its object: %q", got)
	}
}

func TestBesideIsHashedOnTheWay(t *testing.T) {
	old, fresh := newStore(t), newStore(t)
	good, bad := put(t, old, "good"), put(t, old, "to be changed")
	path := filepath.Join(old.Dir(), objectsDir, string(bad))
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, []byte("changed bytes"), 0o444)); err != nil {
		t.Fatal(err)
	}
	f := (&Fetcher{Store: fresh, Beside: openStore(t, old.Dir()), Offline: true}).For("an image")
	artifact := func(d recipes.Digest) recipes.Artifact {
		return recipes.Artifact{Name: "a", Archive: "debian", Path: "pool/a.deb", SHA256: d}
	}
	if err := f.Artifact(t.Context(), artifact(good)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, fresh, good); got != "good" {
		t.Errorf("%q", got)
	}
	for what, d := range map[string]recipes.Digest{"changed": bad, "missing": digestOf("nowhere")} {
		if err := f.Artifact(t.Context(), artifact(d)); !errors.Is(err, ErrOffline) {
			t.Errorf("%s: %v", what, err)
		}
		if _, ok := fresh.Has(d); ok {
			t.Errorf("%s bytes were taken over", what)
		}
	}
}

func TestGCRemovesDeadFreshStores(t *testing.T) {
	s := newStore(t)
	fresh, _, err := s.Fresh()
	if err != nil {
		t.Fatal(err)
	}
	put(t, fresh, strings.Repeat("x", 1000))
	if err := fresh.Close(); err != nil {
		t.Fatal(err)
	}
	dry, err := s.GC(t.Context(), GCOptions{DryRun: true})
	if err != nil || dry.Removed.Bytes < 1000 {
		t.Errorf("%+v, %v", dry, err)
	}
	if _, err := os.Stat(fresh.Dir()); err != nil {
		t.Errorf("a dry run removed it: %v", err)
	}
	if _, err := s.GC(t.Context(), GCOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(fresh.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
