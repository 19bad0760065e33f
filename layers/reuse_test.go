package layers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// packages is a tree of many packages, of which all but one are large enough
// to be remembered; version is what the first of them holds.
func packages(t *testing.T, version string) *rootfs.Tree {
	t.Helper()
	tree := rootfs.NewTree(nil)
	add := func(path, owner string, data []byte) {
		t.Helper()
		if err := tree.Add(file(path, owner, 0o644, data)); err != nil {
			t.Fatal(err)
		}
	}
	add("usr/share/first", "pkg:deb/debian/a@1", append([]byte(version), sample()...))
	add("usr/share/small", "pkg:deb/debian/b@1", []byte("small"))
	add("usr/lib/large.jar", "pkg:maven/a/b@1", noise(chunkSize+3*block, 7))
	for i := range 5 {
		add(fmt.Sprintf("usr/share/words%02d", i), fmt.Sprintf("pkg:deb/debian/w%02d@1", i), append([]byte{byte(i)}, sample()...))
	}
	return tree
}

// reopen is the store as the next process sees it.
func reopen(t *testing.T, s *fetch.Store) *fetch.Store {
	t.Helper()
	next, err := fetch.OpenStore(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	return next
}

// planned are the members of a tree that lie in earlier layers of a store.
func planned(t *testing.T, s *fetch.Store, tree *rootfs.Tree, o Options) map[string]place {
	t.Helper()
	members, err := arrange(tree.Own())
	if err != nil {
		t.Fatal(err)
	}
	r := newReuse(s)
	r.plan(newTarWriter(io.Discard, o), members)
	return r.places
}

// TestMembersAreTaken holds a layer of which one package changed to the bytes
// that it has where nothing was packed before, with few and many processors,
// and again after that layer.
func TestMembersAreTaken(t *testing.T) {
	for _, c := range []Compression{Gzip, Zstd} {
		for _, jobs := range []int{1, 8} {
			o := Options{Compression: c, Epoch: epoch}
			want := mustWrite(t, openStore(t), packages(t, "2"), o)
			s := openStore(t)
			mustWrite(t, s, packages(t, "1"), o)
			s = reopen(t, s)
			if n := len(planned(t, s, packages(t, "2"), o)); n != 6 {
				t.Errorf("%s: %d members are found, want the jar and 5 packages", c, n)
			}
			o.Pool = NewPool(jobs)
			for range 2 {
				if diff := cmp.Diff(want, mustWrite(t, s, packages(t, "2"), o)); diff != "" {
					t.Errorf("%s with %d jobs: %s", c, jobs, diff)
				}
			}
			for _, p := range planned(t, s, packages(t, "2"), o) {
				if p.Blob != want.Digest {
					t.Errorf("%s: a member is still looked for in the older layer %s", c, p.Blob)
				}
			}
		}
	}
}

// TestTakenBytesAreThose proves that compressed bytes do come from the earlier
// layer: it is changed after it was hashed, which no process but this test does.
func TestTakenBytesAreThose(t *testing.T) {
	o := Options{Epoch: epoch}
	s := openStore(t)
	old := mustWrite(t, s, packages(t, "1"), o)
	change(t, s, old, func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
	want := mustWrite(t, openStore(t), packages(t, "2"), o)
	if got := mustWrite(t, s, packages(t, "2"), o); got.Digest == want.Digest || got.DiffID != want.DiffID {
		t.Errorf("packed %+v, want the changed bytes in it", got)
	}
}

// TestCorruptMembersAreNotTaken changes what an earlier process left in the
// store, and records: the layer is packed as if nothing were there.
func TestCorruptMembersAreNotTaken(t *testing.T) {
	o := Options{Epoch: epoch}
	want := mustWrite(t, openStore(t), packages(t, "2"), o)
	for name, spoil := range map[string]func(t *testing.T, s *fetch.Store, old Blob){
		"a changed byte": func(t *testing.T, s *fetch.Store, old Blob) {
			change(t, s, old, func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
		},
		"a short blob": func(t *testing.T, s *fetch.Store, old Blob) {
			change(t, s, old, func(data []byte) []byte { return data[:len(data)/2] })
		},
		"no blob": func(t *testing.T, s *fetch.Store, old Blob) {
			path, err := s.Path(t.Context(), old.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"records of nothing":    func(t *testing.T, s *fetch.Store, old Blob) { rerecord(t, s, o, `{}`) },
		"records that are torn": func(t *testing.T, s *fetch.Store, old Blob) { rerecord(t, s, o, `{"blob":`) },
		"records beyond the end": func(t *testing.T, s *fetch.Store, old Blob) {
			rerecord(t, s, o, fmt.Sprintf(`{"blob":%q,"offset":%d,"size":9}`, old.Digest, old.Size-8))
		},
		"records before the beginning": func(t *testing.T, s *fetch.Store, old Blob) {
			rerecord(t, s, o, fmt.Sprintf(`{"blob":%q,"offset":-1,"size":9}`, old.Digest))
		},
		"records of another file": func(t *testing.T, s *fetch.Store, old Blob) {
			rerecord(t, s, o, `{"blob":"../../x","offset":0,"size":9}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t)
			old := mustWrite(t, s, packages(t, "1"), o)
			spoil(t, s, old)
			s = reopen(t, s)
			if diff := cmp.Diff(want, mustWrite(t, s, packages(t, "2"), o)); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(readBlob(t, s, want)[:2], []byte{0x1f, 0x8b}) {
				t.Error("no gzip")
			}
			// Whoever needs that layer itself is told, so that it is made again.
			_, err := s.Open(t.Context(), old.Digest)
			var corrupt *fetch.CorruptError
			if err != nil && name != "no blob" && !errors.As(err, &corrupt) {
				t.Errorf("open the earlier layer: %v", err)
			}
		})
	}
}

// change gives a blob in the store other bytes and its old time.
func change(t *testing.T, s *fetch.Store, b Blob, how func([]byte) []byte) {
	t.Helper()
	path, err := s.Path(t.Context(), b.Digest)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data := how(readBlob(t, s, b))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// rerecord gives the record of every member that the store knows another text.
func rerecord(t *testing.T, s *fetch.Store, o Options, text string) {
	t.Helper()
	known := planned(t, s, packages(t, "1"), o)
	if len(known) == 0 {
		t.Fatal("nothing was recorded")
	}
	for key := range known {
		if err := s.SetRecord(memberRecord, key, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLittleIsNotWorthABlob leaves an earlier layer alone of which only a
// small part is of use.
func TestLittleIsNotWorthABlob(t *testing.T) {
	s := openStore(t)
	mustWrite(t, s, packages(t, "1"), Options{})
	tree := rootfs.NewTree(nil)
	first, _ := packages(t, "1").Lookup("usr/share/first")
	if err := tree.Add(first); err != nil {
		t.Fatal(err)
	}
	if found := planned(t, s, tree, Options{}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// TestMemberKey changes one thing after the other of what the bytes of a
// member depend on.
func TestMemberKey(t *testing.T) {
	data := sample()
	key := func(o Options, cheap bool, change func(*rootfs.Entry)) string {
		e := file("usr/share/a", "pkg:deb/debian/a@1", 0o644, data)
		e.ModTime = epoch.Add(-time.Hour)
		if change != nil {
			change(&e)
		}
		return newTarWriter(io.Discard, o).key(member{entries: []rootfs.Entry{e}, cheap: cheap})
	}
	o := Options{Epoch: epoch}
	same := key(o, false, nil)
	for what, other := range map[string]string{
		"path":        key(o, false, func(e *rootfs.Entry) { e.Path = "usr/share/b" }),
		"mode":        key(o, false, func(e *rootfs.Entry) { e.Mode = 0o755 }),
		"owner id":    key(o, false, func(e *rootfs.Entry) { e.UID = 70 }),
		"content":     key(o, false, func(e *rootfs.Entry) { e.SHA256 = recipes.Digest(goldenDiffID) }),
		"time":        key(o, false, func(e *rootfs.Entry) { e.ModTime = epoch.Add(-2 * time.Hour) }),
		"xattr":       key(o, false, func(e *rootfs.Entry) { e.XAttrs = map[string]string{"security.capability": "x"} }),
		"level":       key(o, true, nil),
		"compression": key(Options{Epoch: epoch, Compression: Zstd}, false, nil),
		"epoch":       key(Options{Epoch: epoch.Add(-3 * time.Hour)}, false, nil),
		"source date": key(Options{Epoch: epoch, SourceDate: epoch}, false, nil),
	} {
		if other == same {
			t.Errorf("the key does not depend on the %s", what)
		}
	}
	if key(Options{Epoch: epoch.Add(time.Hour), Pool: NewPool(1), Name: "x", Compression: Gzip}, false, nil) != same {
		t.Error("the key depends on what changes no byte")
	}
}

// TestUnreadMemberFails holds a member that an earlier layer holds to its
// content all the same: the stream is still read and hashed.
func TestUnreadMemberFails(t *testing.T) {
	s := openStore(t)
	mustWrite(t, s, packages(t, "1"), Options{})
	tree := rootfs.NewTree(nil)
	for _, e := range packages(t, "1").Own() {
		if e.Path == "usr/lib/large.jar" {
			e.Content = rootfs.Bytes("other")
		}
		if err := tree.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Write(context.Background(), s, tree, Options{}); err == nil {
		t.Error("a layer was packed from other content than its entries say")
	}
}
