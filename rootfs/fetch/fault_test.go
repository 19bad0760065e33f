package fetch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A fault of the store is told as such: no mirror is blamed for it, and none is
// asked in vain.
func TestAFaultOfTheStoreIsNoMirrors(t *testing.T) {
	m := newMirror(t, serve("content"))
	f := fetcher(t, m.URL, m.URL+"/other")
	tmp := filepath.Join(f.Store.Dir(), tmpDir)
	if err := errors.Join(os.Remove(tmp), os.WriteFile(tmp, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	a := artifact("content")
	a.SHA256 = ""
	_, err := f.Get(t.Context(), Request{Archive: a.Archive, Path: a.Path})
	var mirrors *MirrorError
	if err == nil || errors.As(err, &mirrors) || !strings.HasPrefix(err.Error(), "nessie: fetch g/a/1/a-1.jar: store: ") {
		t.Errorf("error: %v", err)
	}
	if m.count() > 0 {
		t.Errorf("%d requests", m.count())
	}
}

// A store that a user may only read serves what it holds; what would have to
// be written says so and names the way out.
func TestAStoreThatOneMayOnlyRead(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := put(t, s, "content")
	s.Close()
	t.Cleanup(func() { removeAll(dir) })
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := syscall.Seteuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Seteuid(0)
	} else if err := lock(dir); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenStore(dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := s.Create(t.Context()); err == nil || !strings.Contains(err.Error(), "--cache DIR") {
		t.Errorf("error: %v", err)
	}
}

// lock takes the right to write from every folder of a store.
func lock(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o555)
	})
}
