package rootfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/recipes"
)

// parse reads a tree in short: "d PATH MODE", "f PATH MODE BYTES", "l PATH
// TARGET", "h PATH TARGET"; a leading "!" marks state, "@X" sets the owner.
func parse(t *testing.T, line string) Entry {
	t.Helper()
	f := strings.Fields(line)
	e := Entry{Owner: "pkg:deb/a"}
	for strings.HasPrefix(f[0], "@") || f[0] == "!" {
		if f[0] == "!" {
			e.State = true
		} else {
			e.Owner = f[0][1:]
		}
		f = f[1:]
	}
	e.Type, e.Path = Type(f[0][0]), f[1]
	switch e.Type {
	case Directory, Regular:
		if _, err := fmt.Sscanf(f[2], "%o", &e.Mode); err != nil {
			t.Fatal(err)
		}
		if e.Type == Regular {
			sum := sha256.Sum256([]byte(f[3]))
			e.SHA256, e.Size = recipes.Digest(hex.EncodeToString(sum[:])), int64(len(f[3]))
		}
	case Symlink, Hardlink:
		e.Link = f[2]
	}
	return e
}

func show(entries []Entry) []string {
	var lines []string
	for _, e := range entries {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%c %s %o %s", e.Type, e.Path, e.Mode, e.Link)))
	}
	return lines
}

func build(t *testing.T, lower *Tree, lines ...string) (*Tree, error) {
	t.Helper()
	tree := NewTree(lower)
	tree.Replaces = func(by, old string) bool { return by == "pkg:deb/new" && old == "pkg:deb/old" }
	for _, line := range lines {
		if err := tree.Add(parse(t, line)); err != nil {
			return tree, err
		}
	}
	return tree, nil
}

func TestMergeRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		lower []string
		add   []string
		want  []string // own entries, or
		err   string   // part of the error
	}{
		{name: "every parent is present", add: []string{"f a/b/c 644 x"}, want: []string{"d a 755", "d a/b 755", "f a/b/c 644"}},
		{name: "parents as the lower tree has them", lower: []string{"d a 700", "d a/b 1777"}, add: []string{"f a/b/c 644 x"}, want: []string{"d a 700", "d a/b 1777", "f a/b/c 644"}},
		{name: "directories merge, the first mode stays", add: []string{"d a 750", "@pkg:deb/b d a 755", "f a/x 644 x"}, want: []string{"d a 750", "f a/x 644"}},
		{name: "a directory that came with a file gets its own mode later", add: []string{"f a/x 644 x", "d a 700"}, want: []string{"d a 700", "f a/x 644"}},
		{name: "a recipe's directory overrides a package's", add: []string{"d a 755", "@recipe:x/directories/a d a 700"}, want: []string{"d a 700"}},
		{name: "two recipe entries, two modes", add: []string{"@recipe:x d a 755", "@recipe:y d a 700"}, err: "a of recipe:y clashes with recipe:x"},
		{name: "a recipe's directory differs from the parent's", lower: []string{"d a 755"}, add: []string{"@recipe:x d a 700"}, err: "the parent has it with another mode"},
		{name: "a package's directory differs from the parent's", lower: []string{"d a 755"}, add: []string{"d a 700", "f a/x 644 x"}, want: []string{"d a 755", "f a/x 644"}},
		{name: "state may change a directory", lower: []string{"d a 755"}, add: []string{"! d a 700"}, want: []string{"d a 700"}},
		{name: "same bytes twice", add: []string{"f a 644 x", "@pkg:deb/b f a 644 x"}, want: []string{"f a 644"}},
		{name: "same bytes, other mode", add: []string{"f a 644 x", "@pkg:deb/b f a 755 x"}, err: "different modes"},
		{name: "other bytes", add: []string{"f a 644 x", "@pkg:deb/b f a 644 y"}, err: "a of pkg:deb/b clashes with pkg:deb/a: both bring it, with different bytes"},
		{name: "a duplicate in one package", add: []string{"f a 644 x", "f a 644 y"}, err: "different bytes"},
		{name: "replaces", add: []string{"@pkg:deb/old f a 644 x", "@pkg:deb/new f a 600 y"}, want: []string{"f a 600"}},
		{name: "replaces, the other way round", add: []string{"@pkg:deb/new f a 600 y", "@pkg:deb/old f a 644 x"}, want: []string{"f a 600"}},
		{name: "links of a replaced file keep its bytes", add: []string{"@pkg:deb/old f a 640 x", "@pkg:deb/old h b a", "@pkg:deb/old h c b", "@pkg:deb/new f a 600 y", "@pkg:deb/old h d a"}, want: []string{"f a 600", "f b 640", "h c 777 b", "f d 640"}},
		{name: "links of a file that stays out keep its bytes", add: []string{"@pkg:deb/new f a 600 y", "@pkg:deb/old f a 640 x", "@pkg:deb/old h b a"}, want: []string{"f a 600", "f b 640"}},
		{name: "hard link through a linked folder", add: []string{"l lib usr/lib", "f lib/a 644 x", "h lib/b lib/a"}, want: []string{"l lib 777 usr/lib", "d usr 755", "d usr/lib 755", "f usr/lib/a 644", "h usr/lib/b 777 usr/lib/a"}},
		{name: "hard link to a link", add: []string{"f a 644 x", "h b a", "h c b"}, want: []string{"f a 644", "h b 777 a", "h c 777 a"}},
		{name: "hard link to another package", add: []string{"f a 644 x", "@pkg:deb/b h b a"}, err: "a is not an earlier file of the same package"},
		{name: "hard link to the parent's file", lower: []string{"f a 644 x"}, add: []string{"@pkg:deb/b h b a"}, err: "not an earlier file"},
		{name: "hard link before its target", add: []string{"h b a", "f a 644 x"}, err: "not an earlier file"},
		{name: "hard link to itself", add: []string{"f a 644 x", "h a a"}, err: "not an earlier file"},
		{name: "hard link out of the root", add: []string{"h b ../a"}, err: "not a clean path below the root"},
		{name: "usr-merge", add: []string{"l lib usr/lib", "d lib 755", "f lib/x 644 x"}, want: []string{"l lib 777 usr/lib", "d usr 755", "d usr/lib 755", "f usr/lib/x 644"}},
		{name: "usr-merge of the parent", lower: []string{"l lib usr/lib", "d usr/lib 755"}, add: []string{"d lib 700", "f lib/x 644 x"}, want: []string{"d usr 755", "d usr/lib 755", "f usr/lib/x 644"}},
		{name: "an absolute link is below the root", add: []string{"l var/run /run", "f var/run/x/y 644 x"}, want: []string{"d run 755", "d run/x 755", "f run/x/y 644", "d var 755", "l var/run 777 /run"}},
		{name: "a link chain", add: []string{"l a b/c", "l b d", "f a/x 644 x"}, want: []string{"l a 777 b/c", "l b 777 d", "d d 755", "d d/c 755", "f d/c/x 644"}},
		{name: "a link loop", add: []string{"l a b", "l b a", "f a/x 644 x"}, err: "more than 40 symbolic links"},
		{name: "through a link that leaves the root", add: []string{"l a ../../etc", "f a/x 644 x"}, err: "leaves the root"},
		{name: "a dangling link that leaves the root is only a link", add: []string{"l a ../../etc"}, want: []string{"l a 777 ../../etc"}},
		{name: "a folder that is the root by a link", add: []string{"l a .", "d a 700", "f a/x 644 x"}, want: []string{"l a 777 .", "f x 644"}},
		{name: "below a file", add: []string{"f a 644 x", "@pkg:deb/b f a/b 644 x"}, err: "a is a file of pkg:deb/a, not a directory"},
		{name: "a directory over a file", add: []string{"f a 644 x", "d a 755"}, err: "a directory cannot take the place of a file"},
		{name: "a file over a directory", add: []string{"d a 755", "f a 644 x"}, err: "a file cannot take the place of a directory"},
		{name: "a link over a directory", add: []string{"d lib 755", "l lib usr/lib"}, err: "a file cannot take the place of a directory"},
		{name: "a child's file over the parent's", lower: []string{"f a 644 x"}, add: []string{"@pkg:deb/b f a 644 y"}, err: "belongs to the parent"},
		{name: "a child's equal file is left out", lower: []string{"f a 644 x"}, add: []string{"@pkg:deb/b f a 644 x", "@pkg:deb/b h b a"}, want: []string{"f b 644"}},
		{name: "state over the parent's", lower: []string{"f a/b 644 x"}, add: []string{"! f a/b 644 y"}, want: []string{"d a 755", "f a/b 644"}},
		{name: "state over a link of the parent", lower: []string{"l a b"}, add: []string{"! f a 644 y"}, want: []string{"f a 644"}},
		{name: "state over a directory of the parent", lower: []string{"d a 755"}, add: []string{"! f a 644 y"}, err: "cannot take the place of a directory"},
		{name: "state equal to the parent's is left out", lower: []string{"f a/b 644 x"}, add: []string{"! f a/b 644 x"}},
		{name: "setuid and setgid go", add: []string{"f a 6755 x", "d b 2775"}, want: []string{"f a 755", "d b 775"}},
		{name: "sticky stays on directories", add: []string{"f a 1755 x", "d b 1777"}, want: []string{"f a 755", "d b 1777"}},
		{name: "a file that everyone writes", add: []string{"f a 666 x"}, err: "lets everyone write it"},
		{name: "a directory that everyone writes", add: []string{"d a 777"}, err: "lacks the sticky bit"},
		{name: "whiteout", add: []string{"f a/.wh.b 644 x"}, err: "would delete files of the layers below"},
		{name: "whiteout folder", add: []string{"f .wh..wh..opq/x 644 x"}, err: "would delete"},
		{name: "whiteout through a link", add: []string{"l a .wh.b", "f a/x 644 x"}, err: "would delete"},
		{name: "absolute", add: []string{"f /a 644 x"}, err: "not a clean path"},
		{name: "dot dot", add: []string{"f a/../b 644 x"}, err: "not a clean path"},
		{name: "the root", add: []string{"f . 644 x"}, err: "the root is not an entry"},
		{name: "not text", add: []string{"f a\xff 644 x"}, err: "not UTF-8"},
		{name: "a device", add: []string{"c dev/null"}, err: "devices"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lower, err := build(t, nil, c.lower...)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := build(t, lower, c.add...)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, show(tree.Own())); diff != "" {
				t.Error(diff)
			}
			checkTree(t, tree)
		})
	}
}

func TestFieldsThatATreeRefuses(t *testing.T) {
	sum := recipes.Digest(strings.Repeat("a", 64))
	for want, e := range map[string]Entry{
		"no owner":            {Path: "a", Type: Regular, SHA256: sum},
		"not a sha256":        {Path: "a", Type: Regular, Owner: "pkg:x", SHA256: "abc"},
		"extended attribute":  {Path: "a", Type: Regular, Owner: "pkg:x", SHA256: sum, XAttrs: map[string]string{"user.x": "y"}},
		"negative":            {Path: "a", Type: Regular, Owner: "pkg:x", SHA256: sum, UID: -1},
		"link target":         {Path: "a", Type: Symlink, Owner: "pkg:x"},
		"is empty or not tex": {Path: "a", Type: Symlink, Owner: "pkg:x", Link: "b\x00c"},
	} {
		if err := NewTree(nil).Add(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestClashIsTyped(t *testing.T) {
	_, err := build(t, nil, "f a 644 x", "@pkg:deb/b f a 644 y")
	var clash *ClashError
	if !errors.As(err, &clash) || clash.Path != "a" || clash.Old != "pkg:deb/a" {
		t.Fatalf("%#v", err)
	}
}

func TestOwnDoesNotDependOnOrder(t *testing.T) {
	lines := []string{"@pkg:deb/b f a/b/1 644 x", "@pkg:deb/a f a/b/2 644 y", "@pkg:deb/c f a/3 644 z"}
	want, err := build(t, nil, lines...)
	if err != nil {
		t.Fatal(err)
	}
	for range lines {
		lines = append(lines[1:], lines[0])
		got, err := build(t, nil, lines...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Own(), got.Own()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestViews(t *testing.T) {
	lower, _ := build(t, nil, "f etc/a 644 x", "l lib usr/lib", "f lib/so 644 s")
	tree, err := build(t, lower, "! f etc/a 600 y", "l etc/l ../lib/so", "f etc/f 644 f", "h etc/h etc/f")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"d etc 755", "f etc/a 600", "f etc/f 644", "h etc/h 777 etc/f", "l etc/l 777 ../lib/so", "l lib 777 usr/lib", "d usr 755", "d usr/lib 755", "f usr/lib/so 644"}
	if diff := cmp.Diff(want, show(tree.All())); diff != "" {
		t.Error(diff)
	}
	for from, to := range map[string]string{"etc/l": "usr/lib/so", "/etc/./l": "usr/lib/so", "etc/h": "etc/f", "lib/so": "usr/lib/so"} {
		if e, ok := tree.Follow(from); !ok || e.Path != to {
			t.Errorf("Follow(%s) = %s, %v", from, e.Path, ok)
		}
	}
	if _, ok := tree.Follow("etc/none"); ok {
		t.Error("Follow finds what is not there")
	}
}

func TestEntriesRoundTrip(t *testing.T) {
	e := parse(t, "! f usr/ő 755 x")
	e.UID, e.GID, e.SHA1 = 70, 71, "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	e.ModTime = time.Unix(1700000000, 5).UTC()
	e.XAttrs = map[string]string{"security.capability": "\x01\x00\x00\x02\x00\xff"}
	tree, err := build(t, nil, "d usr 755", "l a usr/<&>", "f b 644 x", "h c b")
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Add(e); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := WriteEntries(&buf, tree.Own()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEntries(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree.Own(), got); diff != "" {
		t.Error(diff)
	}
}

// checkTree holds the promises that every tree keeps, whatever was added.
func checkTree(t *testing.T, tree *Tree) {
	t.Helper()
	own := tree.Own()
	seen := make(map[string]Entry)
	last := ""
	for _, e := range own {
		if e.Path <= last {
			t.Fatalf("%q after %q", e.Path, last)
		}
		last = e.Path
		seen[e.Path] = e
	}
	for _, e := range own {
		for _, dir := range parents(e.Path) {
			if p, ok := seen[dir]; !ok || p.Type != Directory {
				t.Fatalf("%s: parent %s is %v, %v", e.Path, dir, p.Type, ok)
			}
		}
		if e.Mode&0o6000 != 0 || e.Owner == "" {
			t.Fatalf("%+v", e)
		}
		if e.Type == Hardlink {
			if target, ok := seen[e.Link]; !ok || target.Type != Regular || target.Owner != e.Owner {
				t.Fatalf("hard link %s to %+v", e.Path, target)
			}
		}
		if low, ok := tree.lower.Lookup(e.Path); ok && !e.State && e.Type != Directory && !generatedLink(low) {
			t.Fatalf("%s replaces the parent's %+v", e.Path, low)
		}
	}
}

// TestGeneratedLinkGivesWay: a package of a child may bring the program for
// which the parent's state has only a generated link.
func TestGeneratedLinkGivesWay(t *testing.T) {
	lower := NewTree(nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(lower.Add(Entry{Path: "usr/bin/xz", Type: Symlink, Mode: 0o777, Link: "/bin/busybox", Owner: "recipe:base/generate", State: true}))
	must(lower.Add(Entry{Path: "etc/passwd", Type: Symlink, Mode: 0o777, Link: "/run/passwd", Owner: "pkg:apk/alpine/a"}))
	upper := NewTree(lower)
	xz := NewFile("usr/bin/xz", 0o755, []byte("program"))
	xz.Owner = "pkg:apk/alpine/xz"
	must(upper.Add(xz))
	if e, _ := upper.Lookup("usr/bin/xz"); e.Owner != xz.Owner {
		t.Errorf("%s has usr/bin/xz", e.Owner)
	}
	xz.Path = "etc/passwd"
	if err := upper.Add(xz); err == nil {
		t.Error("a link that a package of the parent brought gave way")
	}
}
