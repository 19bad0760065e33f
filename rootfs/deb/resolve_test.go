package deb

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pault.ag/go/debian/version"

	"github.com/shudl/shudl-assemble/recipes"
)

// listing makes a universe of "name version field: value; …" lines.
func listing(t testing.TB, lines ...string) *universe {
	t.Helper()
	u := newUniverse("amd64")
	var b strings.Builder
	for _, l := range lines {
		head, fields, _ := strings.Cut(l, " | ")
		name, version, _ := strings.Cut(head, " ")
		b.WriteString("Package: " + name + "\nVersion: " + version + "\nArchitecture: amd64\n")
		for f := range strings.SplitSeq(fields, "; ") {
			if f != "" {
				b.WriteString(f + "\n")
			}
		}
		b.WriteString("Filename: pool/x.deb\nSize: 1\nSHA256: " + strings.Repeat("0", 64) + "\n\n")
	}
	if err := readPackages(strings.NewReader(b.String()), "amd64", u.add); err != nil {
		t.Fatal(err)
	}
	return u
}

func names(pkgs []*Package) string {
	var out []string
	for _, p := range pkgs {
		out = append(out, p.Name+"="+p.Version)
	}
	return strings.Join(out, " ")
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name          string
		index         []string
		roots         []string
		exclude, held []string
		want          string
	}{
		{name: "closure, highest version", index: []string{"a 1 | Depends: b", "a 2 | Pre-Depends: b (>= 1.0-1)", "b 1.0-2", "c 1"}, roots: []string{"a"}, want: "a=2 b=1.0-2"},
		{name: "one version", index: []string{"a 1", "a 2"}, roots: []string{"a=1"}, want: "a=1"},
		{name: "first alternative", index: []string{"a 1 | Depends: b | c", "b 1", "c 1"}, roots: []string{"a"}, want: "a=1 b=1"},
		{name: "second alternative, which another root brings", index: []string{"a 1 | Depends: b | c", "b 1", "c 1"}, roots: []string{"a", "c"}, want: "a=1 c=1"},
		{name: "alternative that can be installed", index: []string{"a 1 | Depends: b | c", "b 1 | Depends: missing", "c 1"}, roots: []string{"a"}, want: "a=1 c=1"},
		{name: "provider", index: []string{"a 1 | Depends: v", "p 1 | Provides: v"}, roots: []string{"a"}, want: "a=1 p=1"},
		{name: "essential provider", index: []string{"a 1 | Depends: v", "p 1 | Provides: v", "q 1 | Provides: v; Essential: yes", "r 1 | Provides: v"}, roots: []string{"a"}, want: "a=1 q=1"},
		{name: "provider of priority", index: []string{"a 1 | Depends: v", "p 1 | Provides: v; Priority: important", "q 1 | Provides: v; Priority: optional"}, roots: []string{"a"}, want: "a=1 p=1"},
		{name: "provider mentioned last", index: []string{"a 1 | Depends: v", "p 1 | Provides: v", "q 1 | Provides: v"}, roots: []string{"a"}, want: "a=1 q=1"},
		{name: "provided version", index: []string{"a 1 | Depends: v (>= 2)", "p 1 | Provides: v (= 2)", "q 1 | Provides: v", "r 1 | Provides: v (= 1)"}, roots: []string{"a"}, want: "a=1 p=1"},
		{name: "package before providers", index: []string{"a 1 | Depends: v", "v 1", "p 1 | Provides: v; Essential: yes"}, roots: []string{"a"}, want: "a=1 v=1"},
		{name: "conflict chooses the other alternative", index: []string{"a 1 | Depends: b | c", "b 1 | Conflicts: r", "c 1", "r 1"}, roots: []string{"r", "a"}, want: "a=1 c=1 r=1"},
		{name: "conflict with one's own virtual name", index: []string{"a 1 | Provides: v; Conflicts: v"}, roots: []string{"a"}, want: "a=1"},
		{name: "Breaks of an older version only", index: []string{"a 1 | Depends: b; Breaks: b (<< 2)", "b 2"}, roots: []string{"a"}, want: "a=1 b=2"},
		{name: "exclusion", index: []string{"a 1 | Depends: b (= 1), c", "b 1 | Depends: d", "c 1 | Depends: b | d", "d 1"}, roots: []string{"a"}, exclude: []string{"b"}, want: "a=1 c=1"},
		{name: "held", index: []string{"a 1 | Depends: b", "b 1 | Depends: c", "b 2 | Depends: c", "c 1"}, roots: []string{"a"}, held: []string{"b=1", "c=1"}, want: "a=1"},
		{name: "held provider before the name itself", index: []string{"a 1 | Depends: v", "v 1", "p 1 | Provides: v"}, roots: []string{"a"}, held: []string{"p=1"}, want: "a=1"},
		{name: "any architecture", index: []string{"a 1 | Depends: b:any", "b 1 | Multi-Arch: allowed"}, roots: []string{"a"}, want: "a=1 b=1"},
		{name: "this architecture", index: []string{"a 1 | Depends: b:amd64", "b 1"}, roots: []string{"a"}, want: "a=1 b=1"},
		{name: "circle", index: []string{"a 1 | Depends: b", "b 1 | Depends: a"}, roots: []string{"a"}, want: "a=1 b=1"},
		{name: "virtual root of one provider", index: []string{"p 1 | Provides: v"}, roots: []string{"v"}, want: "p=1"},
		{name: "given up on the way", index: []string{"a 1 | Depends: b | c", "b 1 | Depends: d, e", "c 1", "d 1", "e 1 | Conflicts: a"}, roots: []string{"a"}, want: "a=1 c=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 3 {
				req := request(c.roots, c.exclude)
				for _, h := range c.held {
					n, v, _ := strings.Cut(h, "=")
					req.Held = append(req.Held, recipes.Artifact{Name: n, Version: v})
				}
				got, err := listing(t, c.index...).resolve(req)
				if err != nil {
					t.Fatal(err)
				}
				if names(got) != c.want {
					t.Errorf("got %s, want %s", names(got), c.want)
				}
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		index   []string
		roots   []string
		exclude []string
		held    []string
		says    []string
	}{
		{name: "unknown", index: []string{"a 1"}, roots: []string{"b"}, says: []string{"package b", "amd64"}},
		{name: "unknown version", index: []string{"a 1", "a 2"}, roots: []string{"a=3"}, says: []string{"no version 3", "2, 1"}},
		{name: "missing", index: []string{"r 1 | Depends: a", "a 1 | Depends: b (>= 2)", "b 1"}, roots: []string{"r"}, says: []string{`a 1 needs "b (>= 2)"`, "there is b 1", "r → a"}},
		{name: "not in any index", index: []string{"a 1 | Depends: b | c"}, roots: []string{"a"}, says: []string{`a 1 needs "b | c"`, "no index lists b"}},
		{name: "conflict of roots", index: []string{"a 1 | Conflicts: b (<< 2)", "b 1"}, roots: []string{"a", "b"}, says: []string{"a 1 conflicts with b 1", "b (<< 2)"}},
		{name: "conflict below", index: []string{"a 1 | Depends: c", "c 1 | Breaks: b", "b 1"}, roots: []string{"a", "b"}, says: []string{"c", "b"}},
		{name: "conflict far below, behind needs that can be met", index: []string{"r 1 | Depends: d | e", "d 1 | Depends: lib, conf", "lib 1 | Depends: deep (>= 1)", "deep 1", "conf 1 | Conflicts: p", "p 1"},
			roots: []string{"r", "p"}, says: []string{"conf 1 conflicts with p 1", `"p"`, "r → d → conf"}},
		{name: "conflict that the other side says", index: []string{"r 1 | Depends: d", "d 1 | Depends: conf", "conf 1", "p 1 | Breaks: conf"},
			roots: []string{"p", "r"}, says: []string{"p 1 conflicts with conf 1", `"conf"`, "r → d → conf"}},
		{name: "a version that is not the newest", index: []string{"a 1 | Depends: b (= 1)", "b 1", "b 2"}, roots: []string{"a"}, says: []string{`a 1 needs "b (= 1)"`, "there is b 2", "b=1"}},
		{name: "virtual", index: []string{"p 1 | Provides: v", "q 1 | Provides: v"}, roots: []string{"v"}, says: []string{"virtual", "p, q"}},
		{name: "any architecture", index: []string{"a 1 | Depends: b:any", "b 1"}, roots: []string{"a"}, says: []string{"b:any"}},
		{name: "another architecture", index: []string{"a 1 | Depends: b:i386", "b 1"}, roots: []string{"a"}, says: []string{"b:i386"}},
		{name: "asked for and excluded", index: []string{"a 1"}, roots: []string{"a"}, exclude: []string{"a"}, says: []string{"excluded"}},
		{name: "held at another version", index: []string{"a 1 | Depends: b (>= 2)", "b 1", "b 2"}, roots: []string{"a"}, held: []string{"b=1"}, says: []string{`a 1 needs "b (>= 2)"`, "parent image holds b 1"}},
		{name: "held, and asked for at another version", index: []string{"b 1", "b 2"}, roots: []string{"b=2"}, held: []string{"b=1"}, says: []string{"parent image holds 1"}},
		{name: "held and gone", index: []string{"b 2"}, roots: []string{"b"}, held: []string{"b=1"}, says: []string{"b 1", "parent image"}},
		{name: "held and in conflict", index: []string{"a 1 | Conflicts: b", "b 1"}, roots: []string{"a"}, held: []string{"b=1"}, says: []string{"a 1 conflicts with b 1"}},
		{name: "bad relation", index: []string{"a 1 | Depends: b (~ 1)"}, roots: []string{"a"}, says: []string{"package a 1, Depends", "operator"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := request(c.roots, c.exclude)
			for _, h := range c.held {
				n, v, _ := strings.Cut(h, "=")
				req.Held = append(req.Held, recipes.Artifact{Name: n, Version: v})
			}
			got, err := listing(t, c.index...).resolve(req)
			if err == nil {
				t.Fatalf("it was resolved: %s", names(got))
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q is not in: %v", s, err)
				}
			}
		})
	}
}

func TestUnsatisfiableErrorNamesTheParties(t *testing.T) {
	_, err := listing(t, "a 1 | Depends: b", "b 1 | Depends: c (>> 3~)").resolve(request([]string{"a"}, nil))
	var u *UnsatisfiableError
	if !errors.As(err, &u) {
		t.Fatal(err)
	}
	if u.Package != "b" || u.Relation != "c (>> 3~)" || !slices.Equal(u.Chain, []string{"a", "b"}) {
		t.Errorf("%+v", u)
	}
}

func TestVersions(t *testing.T) {
	// As dpkg --compare-versions says.
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0-0", 0}, {"1.0", "1.0-1", -1}, {"1:0.1", "9", 1}, {"1.0~rc1", "1.0", -1}, {"1.0~", "1.0~rc1", -1}, {"1.10", "1.9", 1},
		{"1.0+b1", "1.0", 1}, {"1.0a", "1.0+", -1}, {"17.12-0+deb13u1", "17.12-0+deb13u2", -1}, {"0:1", "1", 0}, {"00001", "1", 0},
		{"1.20250101123456789012345", "1.20250101123456789012346", -1},
	} {
		a, err := parseVersion(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := parseVersion(c.b)
		if err != nil {
			t.Fatal(err)
		}
		got, back := version.Compare(a, b), version.Compare(b, a)
		if sign3(got) != c.want || sign3(back) != -c.want {
			t.Errorf("%s, %s: %d, %d; want %d", c.a, c.b, got, back, c.want)
		}
	}
	for _, bad := range []string{"1 2", "", "-", "0:", "1:-1"} {
		if _, err := parseVersion(bad); err == nil {
			t.Errorf("the version %q was accepted", bad)
		}
	}
}

func sign3(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// A package that left the archive is known by its own paragraph: it is held,
// and what it needs is asked of the rest.
func TestAddToIndex(t *testing.T) {
	ix := &Index{Arch: "amd64", universe: listing(t, "lib 2.0", "app 2.0 | Depends: lib (>= 2.0)")}
	old := recipes.Artifact{Name: "app", Version: "1.0", Archive: "debian", Path: "pool/app.deb", Size: 1, SHA256: recipes.Digest(strings.Repeat("0", 64))}
	control := []byte("Package: app\nVersion: 1.0\nArchitecture: amd64\nDepends: lib (<< 2.0)\n\n")
	if ix.Has("app", "1.0") || !ix.Has("app", "2.0") {
		t.Error("Has")
	}
	if err := ix.Add(control, old); err != nil || !ix.Has("app", "1.0") {
		t.Fatal(err)
	}
	if got, err := ix.Resolve(Request{Roots: []recipes.Package{{Name: "app"}}}); err != nil || names(got) != "app=2.0 lib=2.0" {
		t.Errorf("%s %v", names(got), err)
	}
	if _, err := ix.Resolve(Request{Roots: []recipes.Package{{Name: "app=1.0"}}}); err == nil || !strings.Contains(err.Error(), "lib (<< 2.0)") {
		t.Errorf("error %v", err)
	}
	old.Version = "3.0"
	if err := ix.Add(control, old); err == nil {
		t.Error("another version was taken")
	}
}
