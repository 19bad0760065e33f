package apk

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

// wishes makes a request's roots.
func wishes(names ...string) []recipes.Package {
	var list []recipes.Package
	for _, n := range names {
		list = append(list, recipes.Package{Name: n})
	}
	return list
}

// indexOf makes an index of lines "name version [field:value]…", "_" for a
// space in a value.
func indexOf(t testing.TB, lines string) *Index {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		fmt.Fprintf(&text, "C:%s\nP:%s\nV:%s\nA:x86_64\nS:1\nI:1\n", writeQ1([]byte(fmt.Sprintf("%-20.20s", words[0]+words[1]))), words[0], words[1])
		for _, w := range words[2:] {
			text.WriteString(strings.ReplaceAll(w, "_", " ") + "\n")
		}
		text.WriteString("\n")
	}
	packages, err := ParseIndex(strings.NewReader(text.String()), "v1/main/x86_64")
	if err != nil {
		t.Fatal(err)
	}
	return &Index{Packages: packages}
}

const smallIndex = `
app 1-r0 D:so:lib.so.1_cmd:tool
lib 1-r0 p:so:lib.so.1=1
lib 2-r0 p:so:lib.so.1=1.5
tool-a 1-r0 p:cmd:tool=1 k:10
tool-b 1-r0 p:cmd:tool=1 k:20
docs 1-r0
app-doc 1-r0 i:docs_app=1-r0
mail-a 1-r0 p:mailer
mail-b 1-r0 p:mailer k:5
mail-c 1-r0 p:mailer
lonely-a 1-r0 p:lonely
enemy 1-r0 D:!lib
needy 1-r0 D:lib<2
strict 1-r0 D:lib=2-r0
vague 1-r0 D:lib~1
broken 1-r0 D:nowhere
loop-a 1-r0 D:loop-b
loop-b 1-r0 D:loop-a
bin-a 1-r0 p:program=1
bin-b 1-r0 p:program=2
`

// TestSolve holds what each kind of relation does, without the real apk.
func TestSolve(t *testing.T) {
	ix := indexOf(t, smallIndex)
	for _, c := range []struct{ asked, want, fails string }{
		{asked: "app", want: "app-1-r0 lib-2-r0 tool-b-1-r0"},
		{asked: "so:lib.so.1", want: "lib-2-r0"},
		{asked: "so:lib.so.1<1.2", want: "lib-1-r0"},
		{asked: "lib=1-r0", want: "lib-1-r0"},
		{asked: "lib~1", want: "lib-1-r0"},
		{asked: "lib<2", want: "lib-1-r0"},
		{asked: "lib>=1", want: "lib-2-r0"},
		{asked: "needy app", want: "app-1-r0 lib-1-r0 needy-1-r0 tool-b-1-r0"},
		{asked: "vague", want: "lib-1-r0 vague-1-r0"},
		{asked: "app docs", want: "app-1-r0 app-doc-1-r0 docs-1-r0 lib-2-r0 tool-b-1-r0"},
		{asked: "app docs !app-doc", want: "app-1-r0 docs-1-r0 lib-2-r0 tool-b-1-r0"},
		{asked: "mailer", want: "mail-b-1-r0"},
		{asked: "mailer mail-c", want: "mail-c-1-r0"},
		{asked: "loop-a", want: "loop-a-1-r0 loop-b-1-r0"},
		{asked: "lib><" + ix.named("lib")[0].Checksum, want: "lib-1-r0"},
		{asked: "", want: ""},
		{asked: "lonely", fails: "needs lonely"},
		{asked: "enemy app", fails: "enemy-1-r0 excludes lib"},
		{asked: "needy strict", fails: "needs lib"},
		{asked: "broken", fails: "broken-1-r0 needs nowhere, which no repository has"},
		{asked: "nowhere", fails: "the request needs nowhere, which no repository has"},
		{asked: "lib=9", fails: "needs lib=9"},
		{asked: "lib !lib", want: ""},
		{asked: "bin-a bin-b", fails: "both provide program"},
	} {
		got, err := ix.Resolve(Request{Roots: wishes(strings.Fields(c.asked)...), World: []string{}})
		var unsatisfiable *UnsatisfiableError
		if c.fails != "" {
			if !errors.As(err, &unsatisfiable) || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%q: want a refusal with %q, got %v", c.asked, c.fails, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.asked, err)
			continue
		}
		var ids []string
		for _, p := range got {
			ids = append(ids, p.ID())
		}
		if s := strings.Join(ids, " "); s != c.want {
			t.Errorf("%q: %s, want %s", c.asked, s, c.want)
		}
	}
}

func TestParseDependency(t *testing.T) {
	for _, s := range []string{"a", "!a", "a=1", "a<1", "a>1", "a<=1", "a>=1", "a~1.2", "!a<2", "so:lib.so.1", "pc:x=1", "/bin/sh", "a><Q1YCZ4e/kV0Uaynh14//zvTTyN7x8="} {
		d, err := ParseDependency(s)
		if err != nil || d.String() != s {
			t.Errorf("%q reads as %q, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "!", "=1", "a=", "a b", "a@edge", "a=1\nb", "a=1.-"} {
		if d, err := ParseDependency(s); err == nil {
			t.Errorf("%q was taken as %q", s, d)
		}
	}
}

// BenchmarkResolve resolves the largest set of the recipes on the real index.
func BenchmarkResolve(b *testing.B) {
	ix := realPackages(b)
	request := Request{Roots: wishes("bash", "curl", "wget", "ca-certificates", "openssl", "tzdata", "postgresql16", "python3", "openjdk21-jre-headless"), World: []string{}}
	b.ReportAllocs()
	for b.Loop() {
		ix.universe = nil // as a first request has it
		if _, err := ix.Resolve(request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResolveAgain is a further request on the same root.
func BenchmarkResolveAgain(b *testing.B) {
	ix := realPackages(b)
	request := Request{Roots: wishes("postgresql16", "openjdk21-jre-headless"), World: []string{}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ix.Resolve(request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadIndex checks and parses both real indexes.
func BenchmarkReadIndex(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		realPackages(b)
	}
}
