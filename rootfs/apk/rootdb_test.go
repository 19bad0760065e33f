package apk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// readIn reads files of an unpacked root.
func readIn(root string) Finder {
	return func(path string) (rootfs.Content, bool) {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		return rootfs.Bytes(data), err == nil
	}
}

// TestDatabaseAsAPKWritesIt has the real apk install packages into a
// minirootfs and holds our database to its own, byte for byte.
func TestDatabaseAsAPKWritesIt(t *testing.T) {
	o := newOracle(t, true)
	db, err := ReadDatabase(t.Context(), readIn(o.target))
	if err != nil {
		t.Fatal(err)
	}
	if len(db.Records) != 15 || db.Folder != dbFolder {
		t.Fatalf("%d packages in %s", len(db.Records), db.Folder)
	}
	wanted := []string{"wget", "ca-certificates", "zlib"}
	ix := realPackages(t)
	request := Request{Installed: db.Packages(), World: db.World}
	for _, w := range wanted {
		request.Roots = append(request.Roots, recipes.Package{Name: w})
	}
	solution, err := ix.Solve(request)
	if err != nil {
		t.Fatal(err)
	}
	s := fetchtest.NewStore(t)
	for _, p := range solution.New() {
		data, err := os.ReadFile(filepath.Join(shared(t), filepath.FromSlash(p.File())))
		if err != nil {
			t.Fatal(err)
		}
		a := p.Artifact("system")
		a.SHA256 = fetchtest.Put(t, s, data)
		c, err := Open(t.Context(), s, a)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckScripts(c); err != nil {
			t.Error(err)
		}
		if err := db.Add(c, func(rootfs.Entry) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Want(wanted...); err != nil {
		t.Fatal(err)
	}
	entries, err := db.Entries()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := o.command(append([]string{"add", "--no-scripts"}, wanted...)...).CombinedOutput(); err != nil {
		if os.Geteuid() != 0 {
			t.Skipf("skipped the comparison, because apk cannot install without root here: %v\n%s", err, out)
		}
		t.Fatalf("apk add: %v\n%s", err, out)
	}
	for _, e := range entries {
		theirs, err := os.ReadFile(filepath.Join(o.target, e.Path))
		if err != nil {
			t.Fatal(err)
		}
		mine := []byte(e.Content.(rootfs.Bytes))
		if strings.HasSuffix(e.Path, "scripts.tar") {
			compareScripts(t, mine, theirs)
			continue
		}
		if string(mine) != string(theirs) {
			t.Errorf("%s differs:\n%s", e.Path, firstDifference(string(mine), string(theirs)))
		}
	}
}

// compareScripts holds the members to apk's; its headers are its own.
func compareScripts(t *testing.T, mine, theirs []byte) {
	t.Helper()
	a, err := parseScripts(mine)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseScripts(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(a, b, func(x, y StoredScript) bool { return fmt.Sprint(x) == fmt.Sprint(y) }) {
		t.Errorf("scripts.tar differs: %d and %d members", len(a), len(b))
		for i := range min(len(a), len(b)) {
			t.Logf("%s%s %d | %s%s %d", a[i].Package, a[i].Name, a[i].Time, b[i].Package, b[i].Name, b[i].Time)
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d: we %q, apk %q (%d and %d lines)", i+1, x[i], y[i], len(x), len(y))
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

// TestDatabaseRemove gives the files of a package that another version
// replaces, the deepest first.
func TestDatabaseRemove(t *testing.T) {
	db := &Database{Records: []Record{{
		&Package{Name: "a", Version: "1", Checksum: "Q1YCZ4e/kV0Uaynh14//zvTTyN7x8="},
		"P:a\nV:1\nF:\nR:top\nZ:Q1x\nF:usr\nF:usr/bin\nR:a\na:0:0:755\nZ:Q1y\n",
	}}, Triggers: []Trigger{{"Q1YCZ4e/kV0Uaynh14//zvTTyN7x8=", []string{"/usr"}}}}
	if got := strings.Join(db.Remove("a"), " "); got != "usr/bin/a usr/bin usr top" {
		t.Errorf("removed %q", got)
	}
	if len(db.Records) != 0 || len(db.Triggers) != 0 {
		t.Errorf("%+v", db)
	}
	if err := db.Want("b", "c=1", "b>2"); err != nil || strings.Join(db.World, " ") != "c=1 b>2" {
		t.Errorf("world %q, %v", db.World, err)
	}
}

// TestDatabaseLeavesOutWhatIsNotThere: dropped and replaced files are not
// recorded, so that an audit finds nothing missing.
func TestDatabaseLeavesOutWhatIsNotThere(t *testing.T) {
	s := sampleOf(t, sampleInfo, file{name: "usr/", kind: '5'}, file{name: "usr/kept", data: "1"}, file{name: "usr/dropped", data: "2"})
	st := fetchtest.NewStore(t)
	s.artifact.SHA256 = fetchtest.Put(t, st, s.bytes())
	c, err := Open(t.Context(), st, s.artifact)
	if err != nil {
		t.Fatal(err)
	}
	text, err := recordText(c, func(e rootfs.Entry) bool { return e.Path != "usr/dropped" })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "R:kept\n") || strings.Contains(text, "dropped") {
		t.Errorf("record:\n%s", text)
	}
}
