package fetch

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func TestGC(t *testing.T) {
	s := newStore(t)
	old, kept, used, fresh := put(t, s, "old"), put(t, s, "kept"), put(t, s, "used"), put(t, s, "fresh")
	looked := put(t, s, "looked for")
	for _, d := range []recipes.Digest{old, kept, used, looked} {
		age(t, s.objectPath(d), 40*24*time.Hour)
	}
	for _, name := range []string{"old", "used"} {
		s.SetRecord("tar", name, nil)
		record, _ := s.recordPath("tar", name)
		age(t, record, 40*24*time.Hour)
	}
	partial := filepath.Join(s.Dir(), partialDir, string(old))
	writeFile(t, partial, nil)
	age(t, partial, 40*24*time.Hour)
	read(t, s, used) // a use makes it young again
	s.Has(looked)
	s.Record("tar", "used")
	if _, err := s.Verify(t.Context()); err != nil { // no use
		t.Fatal(err)
	}
	options := GCOptions{Keep: map[recipes.Digest]bool{kept: true}, DryRun: true}
	res, err := s.GC(t.Context(), options)
	if err != nil || res.Removed.Files != 3 || res.Kept.Files != 4 {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, err := os.Stat(s.objectPath(old)); err != nil {
		t.Fatal("a dry run removed an object")
	}
	options.DryRun = false
	if _, err := s.GC(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[recipes.Digest]bool{old: false, kept: true, used: true, looked: true, fresh: true} {
		if _, ok := s.Has(d); ok != want {
			t.Errorf("%s is there: %v", d, ok)
		}
	}
	for name, want := range map[string]bool{"old": false, "used": true} {
		if _, ok := s.Record("tar", name); ok != want {
			t.Errorf("the record %s is there: %v", name, ok)
		}
	}
	res, err = s.GC(t.Context(), GCOptions{MaxBytes: 5})
	if err != nil || res.Kept.Bytes > 5 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestGCOfASplitStore has what earlier versions left, which put objects and
// records into folders by their first two digits: nothing there is found, and it
// goes once it is old, its folders too.
func TestGCOfASplitStore(t *testing.T) {
	s := newStore(t)
	split := func(path string) string {
		name := filepath.Base(path)
		dir := filepath.Join(filepath.Dir(path), name[:2])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		moved := filepath.Join(dir, name)
		if err := os.Rename(path, moved); err != nil {
			t.Fatal(err)
		}
		return moved
	}
	old, young := put(t, s, "old"), put(t, s, "young")
	if err := s.SetRecord("tar", "old", nil); err != nil {
		t.Fatal(err)
	}
	record, _ := s.recordPath("tar", "old")
	gone := []string{split(s.objectPath(old)), split(record)}
	for _, path := range gone {
		age(t, path, 40*24*time.Hour)
	}
	stays := split(s.objectPath(young))
	if _, ok := s.Has(old); ok {
		t.Error("an object is found where an earlier version put it")
	}
	if u, err := s.Usage(t.Context()); err != nil || u.Objects.Files != 2 || u.Records.Files != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	if v, err := s.Verify(t.Context()); err != nil || v.Sound.Files != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	options := GCOptions{Keep: map[recipes.Digest]bool{old: true}, DryRun: true}
	if res, err := s.GC(t.Context(), options); err != nil || res.Removed.Files != 2 || res.Kept.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	options.DryRun = false
	if _, err := s.GC(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	for _, path := range gone {
		if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder of %s stays: %v", path, err)
		}
	}
	if _, err := os.Stat(stays); err != nil {
		t.Error(err)
	}
}

// TestTheLongestUnusedGoFirst has an old object that is looked for every day,
// and one that was written later and not looked at again.
func TestTheLongestUnusedGoFirst(t *testing.T) {
	s := newStore(t)
	base, once := put(t, s, "base"), put(t, s, "once")
	age(t, s.objectPath(base), 20*24*time.Hour)
	age(t, s.objectPath(once), 10*24*time.Hour)
	s.Has(base)
	if _, err := s.GC(t.Context(), GCOptions{MaxBytes: 4}); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[recipes.Digest]bool{base: true, once: false} {
		if _, ok := s.Has(d); ok != want {
			t.Errorf("%s is there: %v", d, ok)
		}
	}
}

// TestAUseChangesNothingThatFilesAreKnownBy looks for and opens old objects:
// their modification times stay, and what was hashed is not hashed again.
func TestAUseChangesNothingThatFilesAreKnownBy(t *testing.T) {
	s := newStore(t)
	d := put(t, s, "content")
	path := s.objectPath(d)
	age(t, path, 40*24*time.Hour)
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	again := func() {
		if err := os.Chtimes(path, was.ModTime(), was.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	for what, use := range map[string]func(s *Store){
		"Has":            func(s *Store) { s.Has(d) },
		"Open":           func(s *Store) { read(t, s, d) },
		"Open, then Has": func(s *Store) { read(t, s, d); again(); s.Has(d) },
	} {
		again()
		next := openStore(t, s.Dir())
		use(next)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !info.ModTime().Equal(was.ModTime()) || time.Since(lastUsed(info)) > touchAfter {
			t.Errorf("%s: modified %v, used %v", what, info.ModTime(), lastUsed(info))
		}
	}
	f, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := s.memory(d)
	seen, _ := f.Stat()
	for _, known := range []bool{true, false} {
		age(t, path, 40*24*time.Hour)
		now, _ := os.Stat(path)
		if c.info = seen; known {
			c.info = now // nobody but this process touched it
		}
		s.Has(d)
		_, told := changeTime(now)
		if got := s.Unchanged(f, d); got != (known && told) {
			t.Errorf("after a use of an object that is known (%v), Unchanged is %v", known, got)
		}
	}
}

func TestGCLeavesAStoreInUseAlone(t *testing.T) {
	s := newStore(t)
	d := put(t, s, "old")
	age(t, s.objectPath(d), 400*24*time.Hour)
	other := openStore(t, s.Dir())
	if _, err := s.GC(t.Context(), GCOptions{}); err == nil {
		t.Error("a store in use was cleaned up")
	}
	if _, ok := s.Has(d); !ok {
		t.Error("an object went")
	}
	other.Close()
	if _, err := s.GC(t.Context(), GCOptions{}); err != nil {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	s := newStore(t)
	good, bad := put(t, s, "good"), put(t, s, "bad!")
	read(t, s, bad)
	path := s.objectPath(bad)
	info, _ := os.Stat(path)
	flip(t, path, 1)
	os.Chtimes(path, info.ModTime(), info.ModTime()) // as a disk would: no trace
	res, err := s.Verify(t.Context())
	if err != nil || res.Sound.Files != 1 || len(res.Corrupt) != 1 || res.Corrupt[0].Want != bad {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, err := s.Open(t.Context(), bad); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("corrupt: %v", err)
	}
	if got := read(t, s, good); got != "good" {
		t.Error(got)
	}
}

func TestBundle(t *testing.T) {
	s := newStore(t)
	files := []Bundled{
		{Archive: Maven, Path: "a/b.jar", SHA256: put(t, s, "jar"), Size: 3},
		{Archive: Go, Path: "m/@v/v1.info", SHA256: put(t, s, "info"), Size: 4},
		{Archive: Go, Path: "m/@v/v2.info", SHA256: digestOf("info"), Size: 4},
	}
	var b bytes.Buffer
	if err := WriteBundle(t.Context(), &b, s, files); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WriteBundle(t.Context(), &again, s, files); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("a second bundle differs: %v", err)
	}
	path := filepath.Join(t.TempDir(), "bundle.tar")
	writeFile(t, path, b.Bytes())
	bundle, err := OpenBundle(path)
	if err != nil {
		t.Fatal(err)
	}
	defer bundle.Close()
	f := &Fetcher{Store: newStore(t), Bundle: bundle, Offline: true}
	if err := f.Artifact(t.Context(), recipes.Artifact{Archive: Maven, Path: "a/b.jar", SHA256: digestOf("jar"), Size: 3}); err != nil {
		t.Fatal(err)
	}
	res, err := f.Get(t.Context(), Request{Archive: Go, Path: "m/@v/v2.info"})
	if err != nil || read(t, f.Store, res.SHA256) != "info" {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, err := f.Get(t.Context(), Request{Archive: Go, Path: "m/@v/v3.info"}); !errors.Is(err, ErrOffline) {
		t.Error(err)
	}
}

func TestBrokenBundles(t *testing.T) {
	s := newStore(t)
	var b bytes.Buffer
	d := put(t, s, "some jar")
	if err := WriteBundle(t.Context(), &b, s, []Bundled{{Archive: Maven, Path: "a", SHA256: d, Size: 8}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bundle.tar")
	for name, content := range map[string][]byte{
		"empty": {}, "no tar": []byte("hello"), "cut": b.Bytes()[:3000],
		"manifest changed": bytes.Replace(b.Bytes(), []byte(`"`+keyPath+`":"a"`), []byte(`"`+keyPath+`":"b"`), 1),
	} {
		writeFile(t, path, content)
		if _, err := OpenBundle(path); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	writeFile(t, path, bytes.Replace(b.Bytes(), []byte("some jar"), []byte("evil jar"), 1))
	bundle, err := OpenBundle(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &Fetcher{Store: newStore(t), Bundle: bundle, Offline: true}
	if err := f.Artifact(t.Context(), recipes.Artifact{Archive: Maven, Path: "a", SHA256: d, Size: 8}); err == nil {
		t.Error("a changed file was taken")
	}
	if u, _ := f.Store.Usage(t.Context()); u.Objects.Files+u.Leftover.Files != 0 {
		t.Errorf("something is left: %+v", u)
	}
}
