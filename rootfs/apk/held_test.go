package apk

import (
	"bytes"
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

// oldRoot writes the database of a root that holds packages of the 3.19.1
// release medium, most of them older than the branch's index.
func oldRoot(t *testing.T, target string, wanted ...string) {
	t.Helper()
	folder := shared(t, "iso-3.19.1", "x86_64")
	keys, err := readKeys(shared(t, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(folder, "APKINDEX.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := readSigned(bytes.NewReader(file), keys)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := ParseIndex(bytes.NewReader(signed.text), "iso-3.19.1/x86_64")
	if err != nil {
		t.Fatal(err)
	}
	request := Request{World: []string{}}
	for _, w := range wanted {
		request.Roots = append(request.Roots, recipes.Package{Name: w})
	}
	solution, err := (&Index{Packages: packages}).Solve(request)
	if err != nil {
		t.Fatal(err)
	}
	db, st := &Database{Folder: dbFolder, World: solution.World}, fetchtest.NewStore(t)
	for _, p := range solution.Installed {
		data, err := os.ReadFile(filepath.Join(folder, p.ID()+".apk"))
		if err != nil {
			t.Fatal(err)
		}
		a := p.Artifact("system")
		a.SHA256 = fetchtest.Put(t, st, data)
		c, err := Open(t.Context(), st, a)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Add(c, func(rootfs.Entry) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := db.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		write(t, filepath.Join(target, e.Path), e.Content.(rootfs.Bytes))
	}
}

// TestOldRootAgreesWithAPK resolves on a root whose packages are older than
// the index: what is held stays under apk add and moves under apk upgrade,
// exactly as the real apk has it.
func TestOldRootAgreesWithAPK(t *testing.T) {
	ix := realPackages(t)
	o := newOracle(t, false)
	oldRoot(t, o.target, "alpine-baselayout", "apk-tools", "busybox", "openssl", "wget", "ca-certificates-bundle", "openssh", "tzdata", "libedit")
	db, err := ReadDatabase(t.Context(), readIn(o.target))
	if err != nil {
		t.Fatal(err)
	}
	sets := [][]string{{"curl"}, {"libssl3=3.1.5-r0"}}
	if full() {
		sets = append(sets, []string{"openssl", "python3"}, []string{"postgresql16"}, []string{"openssl>3.1.4-r5"}, []string{"!openssh"})
		sets = append(append(sets, draw(ix, fixedSeed+1, 30)...), special(ix, fixedSeed+1, 2)...)
	}
	count := &tally{}
	root := Request{Installed: db.Packages(), World: db.World}
	moved := 0
	for i, set := range sets {
		count.compare(t, ix, o, root, set)
		if i%4 == 0 {
			moved += upgrades(t, ix, o, root, set)
		}
	}
	if moved == 0 {
		t.Error("no upgrade moved anything")
	}
	t.Logf("%d sets, %d refused, %d packages upgraded", count.sets, count.refused, moved)
}

// upgrades compares with apk upgrade on a world that holds the set too, and
// says how many packages moved.
func upgrades(t *testing.T, ix *Index, o *oracle, root Request, set []string) int {
	t.Helper()
	world := filepath.Join(o.target, worldPath)
	before, err := os.ReadFile(world)
	if err != nil {
		t.Fatal(err)
	}
	defer write(t, world, before)
	// As apk add writes it: one wish a name, the last one given.
	wished := &Database{World: strings.Fields(string(before))}
	if err := wished.Want(set...); err != nil {
		t.Fatal(err)
	}
	write(t, world, []byte(strings.Join(wished.World, "\n")+"\n"))
	root.Upgrade = true
	for _, name := range set {
		root.Roots = append(root.Roots, recipes.Package{Name: name})
	}
	solution, failure := ix.Solve(root)
	var mine []string
	if failure == nil {
		mine = ours(solution)
	}
	theirs, refused, output := o.run(t, "upgrade", "--simulate", "--no-self-upgrade")
	if refused != (failure != nil) || !refused && !slices.Equal(mine, theirs) {
		t.Errorf("upgrade with %v: we say %v (%v)\napk says\n%s\n%s", set, mine, failure, output, difference(mine, theirs))
	}
	moved := 0
	for _, s := range mine {
		if strings.HasPrefix(s, "Upgrading") {
			moved++
		}
	}
	return moved
}

// TestHeldPackagesStay: what a parent image is locked with is neither changed
// nor removed.
func TestHeldPackagesStay(t *testing.T) {
	record := func(name, version, more string) string {
		return fmt.Sprintf("C:%s\nP:%s\nV:%s\nA:x86_64\nS:1\nI:1\n%s\n", writeQ1([]byte(fmt.Sprintf("%-20.20s", name+version))), name, version, more)
	}
	packages, err := ParseIndex(strings.NewReader(record("lib", "1-r0", "")+record("lib", "2-r0", "")+record("old", "1-r0", "D:lib<2\n")+record("new", "1-r0", "D:lib>1-r0\n")+record("enemy", "1-r0", "D:!old\n")), "v1/main/x86_64")
	if err != nil {
		t.Fatal(err)
	}
	ix := &Index{Packages: packages}
	held := []recipes.Artifact{packages[0].Artifact("l"), packages[2].Artifact("l")}
	for name, fails := range map[string]string{"lib": "", "old": "", "new": "old-1-r0 needs lib<2, but lib-2-r0 was chosen", "enemy": "old", "lib=2-r0": "needs lib<2, but lib-2-r0 was chosen", "nowhere": "no repository has"} {
		_, err := ix.Solve(Request{Roots: []recipes.Package{{Name: name}}, Held: held})
		if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails)) {
			t.Errorf("%s: want %q, got %v", name, fails, err)
		}
	}
	world := Request{Roots: []recipes.Package{{Name: "new"}}, Held: held[:1], World: []string{}}
	if _, err := ix.Solve(world); err == nil || !strings.Contains(err.Error(), "lib-1-r0, which the parent image holds, would become lib-2-r0") {
		t.Errorf("a held package moved: %v", err)
	}
	gone := held[0]
	gone.Version = "0-r0"
	if _, err := ix.Solve(Request{Held: []recipes.Artifact{gone}}); err == nil || !strings.Contains(err.Error(), "lock --refresh") {
		t.Errorf("a held package that is nowhere: %v", err)
	}
}

// TestExclude leaves out a package and what only it pulls in.
func TestExclude(t *testing.T) {
	ix := realPackages(t)
	with, err := ix.Resolve(Request{Roots: []recipes.Package{{Name: "wget"}}})
	if err != nil {
		t.Fatal(err)
	}
	without, err := ix.Resolve(Request{Roots: []recipes.Package{{Name: "wget"}}, Exclude: []recipes.Exclude{{Name: "libidn2"}}})
	if err != nil {
		t.Fatal(err)
	}
	var gone []string
	for _, p := range with {
		if !slices.Contains(without, p) {
			gone = append(gone, p.Name)
		}
	}
	if got := strings.Join(gone, " "); got != "libidn2 libunistring" {
		t.Errorf("left out %q", got)
	}
}
