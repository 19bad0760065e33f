package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

func digestOf(content string) recipes.Digest {
	sum := sha256.Sum256([]byte(content))
	return recipes.Digest(hex.EncodeToString(sum[:]))
}

func newStore(t *testing.T) *Store {
	t.Helper()
	return openStore(t, t.TempDir())
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Store, content string) recipes.Digest {
	t.Helper()
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	d, n, err := w.Commit("")
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len(content)) || d != digestOf(content) {
		t.Fatalf("committed %s of %d bytes", d, n)
	}
	return d
}

func read(t *testing.T, s *Store, d recipes.Digest) string {
	t.Helper()
	f, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestStoreKeepsObjects(t *testing.T) {
	s := newStore(t)
	d := put(t, s, "hello")
	if got := read(t, s, d); got != "hello" {
		t.Errorf("read %q", got)
	}
	if n, ok := s.Has(d); !ok || n != 5 {
		t.Errorf("Has = %d, %v", n, ok)
	}
	path, err := s.Path(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o444 {
		t.Errorf("mode %v, want 0444", info.Mode())
	}
	if put(t, s, "hello") != d {
		t.Error("the same bytes got another name")
	}
	if left, _ := os.ReadDir(filepath.Join(s.Dir(), tmpDir)); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestStoreRefusesOtherContent(t *testing.T) {
	s := newStore(t)
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "other")
	var mismatch *MismatchError
	if _, _, err := w.Commit(digestOf("hello")); !errors.As(err, &mismatch) {
		t.Fatalf("Commit: %v", err)
	}
	for _, d := range []recipes.Digest{digestOf("hello"), digestOf("other")} {
		if _, ok := s.Has(d); ok {
			t.Errorf("%s was kept", d)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(s.Dir(), tmpDir)); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestStoreRefusesNamesThatAreNoDigest(t *testing.T) {
	s := newStore(t)
	for _, d := range []recipes.Digest{"", "..", "../../etc/passwd", recipes.Digest(make([]byte, 64)),
		"ABCDEF0000000000000000000000000000000000000000000000000000000000"} {
		if _, err := s.Open(t.Context(), d); err == nil {
			t.Errorf("Open(%q) succeeded", d)
		}
		if _, ok := s.Has(d); ok {
			t.Errorf("Has(%q)", d)
		}
	}
}

func TestFlippedBitIsFoundRemovedAndHealed(t *testing.T) {
	dir := t.TempDir()
	d := put(t, openStore(t, dir), "some content")
	s := openStore(t, dir) // as another process: it has hashed nothing yet
	flip(t, s.objectPath(d), 3)
	_, err := s.Open(t.Context(), d)
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open of a corrupt object: %v", err)
	}
	if _, ok := s.Has(d); ok {
		t.Error("the corrupt object is still there")
	}
	put(t, s, "some content")
	if got := read(t, s, d); got != "some content" {
		t.Errorf("read %q after healing", got)
	}
}

// TestWhoComesLaterIsToldOfTheCorruptObject has one look swallow the error:
// the next one must get it too, and none once the object is made again.
func TestWhoComesLaterIsToldOfTheCorruptObject(t *testing.T) {
	dir := t.TempDir()
	d := put(t, openStore(t, dir), "some content")
	for what, meet := range map[string]func(*Store){
		"Path":   func(s *Store) { s.Path(t.Context(), d) },
		"Verify": func(s *Store) { s.Verify(t.Context()) },
	} {
		s := openStore(t, dir)
		flip(t, s.objectPath(d), 3)
		meet(s)
		for range 2 {
			_, err := s.Open(t.Context(), d)
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Want != d || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s, then Open: %v", what, err)
			}
		}
		put(t, openStore(t, dir), "some content") // another process
		if got := read(t, s, d); got != "some content" {
			t.Errorf("%s: read %q after healing", what, got)
		}
		if err := os.Remove(s.objectPath(d)); err != nil {
			t.Fatal(err)
		}
		_, err := s.Open(t.Context(), d)
		var corrupt *CorruptError
		if err == nil || errors.As(err, &corrupt) {
			t.Errorf("%s: Open of what somebody else took away: %v", what, err)
		}
		put(t, s, "some content")
	}
}

func TestCommitHealsACorruptObjectThatNobodyRead(t *testing.T) {
	dir := t.TempDir()
	d := put(t, openStore(t, dir), "some content")
	s := openStore(t, dir)
	flip(t, s.objectPath(d), 3)
	put(t, s, "some content")
	if got := read(t, openStore(t, dir), d); got != "some content" {
		t.Errorf("read %q", got)
	}
}

func TestAReplacedObjectIsHashedAgain(t *testing.T) {
	s := newStore(t)
	d := put(t, s, "good")
	path := s.objectPath(d)
	if err := os.WriteFile(path+".new", []byte("evil"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), d); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open of a replaced object: %v", err)
	}
}

func TestRecords(t *testing.T) {
	s := newStore(t)
	if _, ok := s.Record("tar", "key"); ok {
		t.Error("a record that nobody wrote")
	}
	for _, value := range []string{"", "one", "two\nlines\n"} {
		if err := s.SetRecord("tar", "key", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, ok := s.Record("tar", "key"); !ok || string(got) != value {
			t.Errorf("Record = %q, %v; want %q", got, ok, value)
		}
	}
	if err := s.SetRecord("../x", "key", nil); err == nil {
		t.Error("a kind that leaves the folder was taken")
	}
	path, _ := s.recordPath("tar", "key")
	full, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range full {
		writeFile(t, path, full[:n])
		if got, ok := s.Record("tar", "key"); ok {
			t.Fatalf("a record torn after %d bytes was believed: %q", n, got)
		}
	}
	other, _ := s.recordPath("tar", "other")
	os.MkdirAll(filepath.Dir(other), 0o755)
	writeFile(t, other, full)
	if _, ok := s.Record("tar", "other"); ok {
		t.Error("a record copied to another key was believed")
	}
}

func TestRememberedIsDerivedOnce(t *testing.T) {
	type fact struct{ N int }
	s := newStore(t)
	derived := 0
	ask := func() (*fact, error) {
		return Remembered(s, "fact", "key", func(f *fact) bool { return f.N > 0 }, func() (*fact, error) {
			if derived++; derived == 1 {
				return nil, fs.ErrInvalid
			}
			return &fact{derived}, nil
		})
	}
	if _, err := ask(); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("what cannot be derived: %v", err)
	}
	for range 2 {
		if f, err := ask(); err != nil || f.N != 2 {
			t.Errorf("%+v, %v", f, err)
		}
	}
	for i, text := range []string{`{"N":0}`, `{"N":`} { // not whole, no JSON
		if err := s.SetRecord("fact", "key", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if f, err := ask(); err != nil || f.N != 3+i {
			t.Errorf("after the record %s: %+v, %v", text, f, err)
		}
	}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	os.Remove(path)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLockExcludesAndFollowsItsContext(t *testing.T) {
	s := newStore(t)
	unlock, err := s.Lock(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx, "name"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a second Lock: %v", err)
	}
	unlockOther, err := s.Lock(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	unlockOther()
	unlock()
	unlock, err = s.Lock(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
