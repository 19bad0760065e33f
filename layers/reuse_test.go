package layers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
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
			want := mustWrite(t, fetchtest.NewStore(t), packages(t, "2"), o)
			s := fetchtest.NewStore(t)
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
// layer: it is one in which the same members are compressed at another level.
func TestTakenBytesAreThose(t *testing.T) {
	for _, c := range []Compression{Gzip, Zstd} {
		o := Options{Epoch: epoch, Compression: c}
		s := fetchtest.NewStore(t)
		mustWrite(t, s, packages(t, "1"), o)
		recompress(t, s, o)
		want := mustWrite(t, fetchtest.NewStore(t), packages(t, "2"), o)
		got := mustWrite(t, s, packages(t, "2"), o)
		if got.Digest == want.Digest || got.DiffID != want.DiffID {
			t.Errorf("%s: packed %+v, want the stream of %+v with the other bytes in it", c, got, want)
		}
		holdsItsStream(t, s, got)
	}
}

// recompress puts a blob into the store that holds every member that the store
// knows at another level, below the header of its own, and has the records name
// that one.
func recompress(t *testing.T, s *fetch.Store, o Options) {
	t.Helper()
	var blob bytes.Buffer
	places := planned(t, s, packages(t, "1"), o)
	for key, p := range places {
		f, err := s.Open(t.Context(), p.Blob)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		next, old := place{Offset: int64(blob.Len())}, &taken{f, p}
		for piece := old.next(); piece != nil; piece = old.next() {
			data, err := io.ReadAll(piece)
			if err != nil {
				t.Fatal(err)
			}
			n, _ := blob.Write(otherwise(t, data, o.Compression))
			next.Pieces = append(next.Pieces, int64(n))
		}
		places[key] = next
	}
	d := fetchtest.Put(t, s, blob.Bytes())
	for key, p := range places {
		p.Blob = d
		setPlace(t, s, key, p)
	}
}

func setPlace(t *testing.T, s *fetch.Store, key string, p place) {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetRecord(memberRecord, key, data); err != nil {
		t.Fatal(err)
	}
}

// holdsItsStream decompresses a layer and holds it to its diffID.
func holdsItsStream(t *testing.T, s *fetch.Store, b Blob) {
	t.Helper()
	z, err := Decompress(bytes.NewReader(readBlob(t, s, b)), b.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, z); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != string(b.DiffID) {
		t.Errorf("the layer is of the stream %s, and says %s", got, b.DiffID)
	}
}

// TestWhatIsTakenIsHeldToTheMember has records and a blob that are in order by
// themselves and lead to other bytes: the layer is that which it is without
// them, and the records lead to it from then on.
func TestWhatIsTakenIsHeldToTheMember(t *testing.T) {
	for _, c := range []Compression{Gzip, Zstd} {
		o := Options{Epoch: epoch, Compression: c}
		want := mustWrite(t, fetchtest.NewStore(t), packages(t, "2"), o)
		for name, spoil := range map[string]func(t *testing.T, s *fetch.Store, old Blob){
			"a blob that is changed after it was hashed": func(t *testing.T, s *fetch.Store, old Blob) {
				change(t, s, old, func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
			},
			"the place of another member": func(t *testing.T, s *fetch.Store, _ Blob) {
				places := planned(t, s, packages(t, "1"), o)
				keys := slices.Sorted(maps.Keys(places))
				for i, key := range keys {
					setPlace(t, s, key, places[keys[(i+1)%len(keys)]])
				}
			},
			"too few pieces": func(t *testing.T, s *fetch.Store, _ Blob) {
				for key, p := range planned(t, s, packages(t, "1"), o) {
					p.Pieces = p.Pieces[:1]
					setPlace(t, s, key, p)
				}
			},
			"a piece more": func(t *testing.T, s *fetch.Store, old Blob) {
				for key, p := range planned(t, s, packages(t, "1"), o) {
					p.Pieces = append(p.Pieces, old.Size-p.end())
					setPlace(t, s, key, p)
				}
			},
			"a piece that ends early": func(t *testing.T, s *fetch.Store, _ Blob) {
				for key, p := range planned(t, s, packages(t, "1"), o) {
					p.Pieces[0]--
					setPlace(t, s, key, p)
				}
			},
			"a piece that ends late": func(t *testing.T, s *fetch.Store, _ Blob) {
				for key, p := range planned(t, s, packages(t, "1"), o) {
					p.Pieces[0]++
					setPlace(t, s, key, p)
				}
			},
		} {
			s := fetchtest.NewStore(t)
			spoil(t, s, mustWrite(t, s, packages(t, "1"), o))
			if diff := cmp.Diff(want, mustWrite(t, s, packages(t, "2"), o)); diff != "" {
				t.Errorf("%s, %s: %s", c, name, diff)
				continue
			}
			holdsItsStream(t, s, want)
			for _, p := range planned(t, s, packages(t, "2"), o) {
				if p.Blob != want.Digest {
					t.Errorf("%s, %s: a record still leads to %s", c, name, p.Blob)
				}
			}
		}
	}
}

// TestCorruptMembersAreNotTaken changes what an earlier process left in the
// store, and records: the layer is packed as if nothing were there.
func TestCorruptMembersAreNotTaken(t *testing.T) {
	o := Options{Epoch: epoch}
	want := mustWrite(t, fetchtest.NewStore(t), packages(t, "2"), o)
	for name, spoil := range map[string]func(t *testing.T, s *fetch.Store, old Blob){
		"a changed byte": func(t *testing.T, s *fetch.Store, old Blob) {
			change(t, s, old, func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
		},
		"a date in every header": func(t *testing.T, s *fetch.Store, old Blob) {
			change(t, s, old, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte{31, 139, 8, 0, 0}, []byte{31, 139, 8, 0, 1}) })
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
			rerecord(t, s, o, fmt.Sprintf(`{"blob":%q,"offset":%d,"pieces":[9]}`, old.Digest, old.Size-8))
		},
		"records before the beginning": func(t *testing.T, s *fetch.Store, old Blob) {
			rerecord(t, s, o, fmt.Sprintf(`{"blob":%q,"offset":-1,"pieces":[9]}`, old.Digest))
		},
		"records of a piece that is larger than any": func(t *testing.T, s *fetch.Store, old Blob) {
			rerecord(t, s, o, fmt.Sprintf(`{"blob":%q,"offset":0,"pieces":[%d]}`, old.Digest, int64(1)<<62))
		},
		"records without pieces": func(t *testing.T, s *fetch.Store, old Blob) {
			rerecord(t, s, o, fmt.Sprintf(`{"blob":%q,"offset":0,"size":9}`, old.Digest))
		},
		"records of another file": func(t *testing.T, s *fetch.Store, old Blob) {
			rerecord(t, s, o, `{"blob":"../../x","offset":0,"pieces":[9]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := fetchtest.NewStore(t)
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
	s := fetchtest.NewStore(t)
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
	if _, err := Write(context.Background(), s, tree.Own(), Options{}); err == nil {
		t.Error("a layer was packed from other content than its entries say")
	}
}
