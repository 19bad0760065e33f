package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// A spool that is damaged or gone is made again, and never read as it is.
func TestTarHeals(t *testing.T) {
	ctx, s := context.Background(), fetchtest.NewStore(t)
	data := makeTar(t, file("a", "first"), file("b", "second"))
	entries, err := Tar(ctx, s, "k", opener(data), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	spool := entries[0].Content.(*section).object.digest
	name, err := s.Path(ctx, spool)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if got := contentOf(t, entries[1]); got != "second" {
		t.Errorf("got %q", got)
	}
}

// What an earlier run left is hashed before its first use: a spool that is
// damaged is made again, and a download is refused.
func TestDamageOfAnEarlierRun(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	data := makeTar(t, file("a", "first"), file("b", "second"))
	first := newStoreAt(t, dir)
	entries, err := Tar(ctx, first, "k", opener(data), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	digest := entries[0].Content.(*section).object.digest
	name, err := first.Path(ctx, digest)
	if err != nil {
		t.Fatal(err)
	}
	damage := func() {
		if err := errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, []byte("FIRSTsecond"), 0)); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	if _, err := Object(newStoreAt(t, dir), digest).Open(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a damaged download: %v", err)
	}
	if _, err := Tar(ctx, first, "other key", opener(data), Limits{}); err != nil {
		t.Fatal(err) // the spool is back
	}
	damage()
	if entries, err = Tar(ctx, newStoreAt(t, dir), "k", opener(data), Limits{}); err != nil {
		t.Fatal(err)
	}
	if got := contentOf(t, entries[0]); got != "first" {
		t.Errorf("got %q", got)
	}
}

// What this process spooled is not hashed again, unless somebody has touched it
// since: before it is opened, or while it is read.
func TestTarSectionVerified(t *testing.T) {
	flip := func(t *testing.T, name string) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // longer than a tick of the file system's clock
		if err := errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, []byte("FIRSTother"), 0), os.Chmod(name, 0o444),
			os.Chtimes(name, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, name string) {
		time.Sleep(20 * time.Millisecond)
		if err := os.Link(name, name+".link"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name          string
		before, while func(*testing.T, string)
		refused       bool
	}{
		{name: "untouched"},
		{name: "changed before", before: flip, refused: true},
		{name: "changed meanwhile", while: flip, refused: true},
		{name: "linked before", before: link},
		{name: "linked meanwhile", while: link},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, s := context.Background(), fetchtest.NewStore(t)
			entries, err := Tar(ctx, s, "k", opener(makeTar(t, file("a", "first"), file("b", "other"))), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			name, err := s.Path(ctx, entries[0].Content.(*section).object.digest)
			if err != nil {
				t.Fatal(err)
			}
			if c.before != nil {
				c.before(t, name)
			}
			r, err := entries[0].Content.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if v := r.(*verified); (v.hash == nil) != (c.before == nil) && runtime.GOOS == "linux" {
				t.Errorf("hashed again: %v", v.hash != nil)
			}
			if c.while != nil {
				c.while(t, name)
			}
			got, err := io.ReadAll(r)
			if c.refused != (err != nil) || err != nil && !strings.Contains(err.Error(), "sha256") || err == nil && string(got) != "first" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// The files of an archive that lies uncompressed in the store are read where
// they are: what a spool would give, and no second copy.
func TestBareTar(t *testing.T) {
	ctx, s := context.Background(), fetchtest.NewStore(t)
	members := []member{dir("d/"), file("d/"+strings.Repeat("long/", 60)+"name", "far"), file("empty", "")}
	for i := range 50 {
		members = append(members, file(fmt.Sprintf("d/%d", i), strings.Repeat(string(rune('a'+i%26)), i*37)))
	}
	gnu := file("d/"+strings.Repeat("gnu/", 60)+"name", "gnu's")
	gnu.Format = tar.FormatGNU
	data := makeTar(t, append(members, gnu, link(tar.TypeLink, "d/again", "d/7"), link(tar.TypeSymlink, "l", "d/7"))...)
	blob := fetchtest.Put(t, s, data)
	spooled, err := Tar(ctx, fetchtest.NewStore(t), "k", opener(data), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range []string{"first", "from the record"} {
		bare, err := Expand(ctx, s, blob, "x", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if paths(bare) != paths(spooled) {
			t.Fatalf("%s: got\n%s\nwant\n%s", round, paths(bare), paths(spooled))
		}
		for i, e := range bare {
			if e.Type != rootfs.Regular {
				continue
			}
			if e.SHA256 != spooled[i].SHA256 || contentOf(t, e) != contentOf(t, spooled[i]) {
				t.Errorf("%s: %s differs", round, e.Path)
			}
		}
	}
	objects, err := filepath.Glob(filepath.Join(s.Dir(), "sha256", "*"))
	if err != nil || len(objects) != 1 {
		t.Errorf("objects %v, %v", objects, err)
	}
}
