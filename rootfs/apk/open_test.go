package apk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

const sampleInfo = "# made up\npkgname = sample\npkgver = 1.0-r0\narch = x86_64\nsize = 5\nlicense = MIT\nreplaces = old other>2\ndepend = so:libc.musl-x86_64.so.1\ntriggers = /usr/share/sample\ndatahash = %s\n"

func TestOpen(t *testing.T) {
	s := fetchtest.NewStore(t)
	p := sampleOf(t, sampleInfo, file{name: "usr/", kind: '5'}, file{name: "usr/hello", data: "hello"}, file{name: "usr/link", link: "hello", kind: '2'})
	p.artifact.SHA256 = fetchtest.Put(t, s, p.bytes())
	c, err := Open(t.Context(), s, p.artifact)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range c.Entries {
		paths = append(paths, e.Path)
		if e.Owner != p.artifact.PURL {
			t.Errorf("%s is owned by %q", e.Path, e.Owner)
		}
	}
	if got := strings.Join(paths, " "); got != "usr usr/hello usr/link" {
		t.Errorf("entries %q", got)
	}
	if c.License != "MIT" || !slices.Equal(c.Replaces, []string{"old", "other"}) || !slices.Equal(c.Triggers, []string{"/usr/share/sample"}) {
		t.Errorf("%+v", c)
	}
	if len(c.Scripts) != 1 || c.Scripts[0].Name != ".post-install" {
		t.Errorf("scripts %+v", c.Scripts)
	}
	var unknown *UnknownScriptError
	if err := CheckScripts(c); !errors.As(err, &unknown) || unknown.Scripts[0] != ".post-install" {
		t.Errorf("a script that nothing replaces was taken: %v", err)
	}
	unsigned := bytes.Join([][]byte{p.control, p.data}, nil)
	p.artifact.SHA256 = fetchtest.Put(t, s, unsigned)
	if _, err := Open(t.Context(), s, p.artifact); err != nil {
		t.Errorf("without signature segment: %v", err)
	}
}

// TestOpenRemembers opens a package a second time without a look into its file,
// which holds other bytes by then; lock and index are held against it all the
// same, and a record that says nothing is made again.
func TestOpenRemembers(t *testing.T) {
	s := fetchtest.NewStore(t)
	p := sampleOf(t, sampleInfo, file{name: "usr/hello", data: "hello"})
	p.artifact.SHA256 = fetchtest.Put(t, s, p.bytes())
	want, err := Open(t.Context(), s, p.artifact)
	if err != nil {
		t.Fatal(err)
	}
	path, err := s.Path(t.Context(), p.artifact.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, bytes.Repeat([]byte("x"), len(p.bytes())), 0o644)); err != nil {
		t.Fatal(err)
	}
	got, err := Open(t.Context(), s, p.artifact)
	if err != nil {
		t.Fatal(err)
	}
	contents := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Content" }, cmp.Ignore())
	if diff := cmp.Diff(want, got, contents); diff != "" {
		t.Error(diff)
	}
	other := p.artifact
	other.Checksum = writeQ1(make([]byte, 20))
	var chain *ChainError
	if _, err := Open(t.Context(), s, other); !errors.As(err, &chain) {
		t.Errorf("another checksum in the index: %v", err)
	}
	write(t, path, p.bytes())
	if err := s.SetRecord(partsRecord, partsVersion+string(p.artifact.SHA256), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if got, err = Open(t.Context(), s, p.artifact); err != nil || got.Package.Name != "sample" {
		t.Errorf("after a record that says nothing: %v", err)
	}
}

// TestOpenBroken breaks each link of the chain on its own.
func TestOpenBroken(t *testing.T) {
	good := func() sample { return sampleOf(t, sampleInfo, file{name: "hello", data: "hello"}) }
	evil := sampleOf(t, sampleInfo, file{name: "hello", data: "evil!"})
	whole := good().bytes()
	cases := []struct {
		name  string
		data  func(s *sample) []byte
		fails string
	}{
		{"no lock digest", func(s *sample) []byte { return nil }, "lock's SHA-256 of the file is missing"},
		{"no index checksum", func(s *sample) []byte { s.artifact.Checksum = ""; return s.bytes() }, "index's checksum of the control segment is missing"},
		{"bad index checksum", func(s *sample) []byte { s.artifact.Checksum = "Q1short"; return s.bytes() }, "no SHA-1 checksum"},
		{"another control segment", func(s *sample) []byte { s.control = evil.control; s.data = evil.data; return s.bytes() }, "index's checksum of the control segment: want"},
		{"another data segment", func(s *sample) []byte { s.data = evil.data; return s.bytes() }, "(datahash): want"},
		{"data after the data", func(s *sample) []byte { return append(s.bytes(), evil.data...) }, "(datahash): want"},
		{"no datahash", func(s *sample) []byte {
			return relink(s, segmentOf(t, false, file{name: ".PKGINFO", data: "pkgname = sample\npkgver = 1.0-r0\n"}))
		}, "no datahash"},
		{"bad datahash", func(s *sample) []byte {
			return relink(s, segmentOf(t, false, file{name: ".PKGINFO", data: "pkgname = sample\npkgver = 1.0-r0\ndatahash = 12\n"}))
		}, "no SHA-256"},
		{"no .PKGINFO", func(s *sample) []byte {
			return relink(s, segmentOf(t, false, file{name: "README", data: "x"}))
		}, "no .PKGINFO"},
		{"another package", func(s *sample) []byte { s.artifact.Name = "other"; return s.bytes() }, "the file is sample-1.0-r0"},
		{"another version", func(s *sample) []byte { s.artifact.Version = "2"; return s.bytes() }, "the file is sample-1.0-r0"},
		{"garbage in the signature segment", func(s *sample) []byte {
			s.signature = segmentOf(t, false, file{name: ".SIGN.RSA.x", data: "y"}, file{name: "etc/passwd", data: "root::0:0"})
			return s.bytes()
		}, "stands in the signature segment"},
		{"cut in the data", func(s *sample) []byte { b := s.bytes(); return b[:len(b)-10] }, "(datahash): want"},
		{"cut before the data", func(s *sample) []byte { return append(append([]byte(nil), s.signature...), s.control...) }, "ends before the data segment"},
		{"cut in the control segment", func(s *sample) []byte { return s.bytes()[:len(s.signature)+20] }, "unexpected EOF"},
		{"empty", func(s *sample) []byte { return []byte{} }, "too short"},
		{"apk 3", func(s *sample) []byte { return []byte("ADBd\x00\x00\x00\x00") }, "ADB format"},
		{"not gzip", func(s *sample) []byte { return []byte("PK\x03\x04 a zip") }, "gzip"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			st := fetchtest.NewStore(t)
			s := good()
			if data := c.data(&s); data != nil {
				s.artifact.SHA256 = fetchtest.Put(t, st, data)
			}
			_, err := Open(t.Context(), st, s.artifact)
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("want an error with %q, got %v", c.fails, err)
			}
			if !strings.Contains(err.Error(), s.artifact.Name) || !strings.Contains(err.Error(), s.artifact.Path) {
				t.Errorf("the error names neither package nor path: %v", err)
			}
		})
	}
	st := fetchtest.NewStore(t)
	s := good()
	s.artifact.SHA256 = recipes.Digest(strings.Repeat("0", 64))
	fetchtest.Put(t, st, whole)
	if _, err := Open(t.Context(), st, s.artifact); err == nil {
		t.Error("a file that is not in the store was opened")
	}
}

// relink gives a sample another control segment with a good checksum.
func relink(s *sample, control []byte) []byte {
	other := sample{signature: s.signature, control: control, data: s.data}
	p, err := split(bytes.NewReader(other.bytes()))
	if err != nil {
		panic(err)
	}
	s.artifact.Checksum = writeQ1(p.SHA1[:])
	return other.bytes()
}

// TestOpenEscape: no entry of a package leaves the root.
func TestOpenEscape(t *testing.T) {
	for _, f := range []file{
		{name: "../etc/passwd", data: "x"}, {name: "usr/../../etc/passwd", data: "x"},
		{name: "hard", link: "../../etc/passwd", kind: '1'}, {name: "hard", link: "/etc/passwd", kind: '1'},
		{name: "dev/null", kind: '3'}, {name: "pipe", kind: '6'},
	} {
		s := sampleOf(t, sampleInfo, f)
		st := fetchtest.NewStore(t)
		s.artifact.SHA256 = fetchtest.Put(t, st, s.bytes())
		if _, err := Open(t.Context(), st, s.artifact); err == nil {
			t.Errorf("%s (%c) was taken", f.name, f.kind)
		}
	}
}

// TestOpenRealPackages opens every real package of the mirror and holds its
// files to what the package's own headers say.
func TestOpenRealPackages(t *testing.T) {
	ix := realPackages(t)
	st := fetchtest.NewStore(t)
	opened := 0
	for _, p := range ix.Packages {
		data, err := os.ReadFile(filepath.Join(shared(t), filepath.FromSlash(p.File())))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !full() && (len(data) > 200_000 || opened == 25) {
			continue
		}
		a := p.Artifact("layer")
		a.SHA256 = fetchtest.Put(t, st, data)
		c, err := Open(t.Context(), st, a)
		if err != nil {
			t.Error(err)
			continue
		}
		opened++
		text, err := recordText(c, func(rootfs.Entry) bool { return true })
		if err != nil {
			t.Error(err)
		}
		if indexed, packed := headOf(p), headOf(c.Package); indexed != packed {
			t.Errorf("%s: index and package differ\n%s\n%s", p.ID(), indexed, packed)
		}
		if !strings.Contains(text, "P:"+p.Name+"\n") {
			t.Errorf("%s: record without name", p.ID())
		}
	}
	if opened < 25 {
		t.Errorf("only %d packages opened", opened)
	}
	t.Logf("%d packages", opened)
}

// headOf is what index and package say alike.
func headOf(p *Package) string {
	return strings.Join([]string{
		p.Name, p.Version, p.Arch, p.Checksum, p.Description, p.URL, p.License, p.Origin, p.Maintainer, p.Commit, p.BuildTime.String(),
		writeDependencies(p.Depends), writeDependencies(p.Provides), writeDependencies(p.InstallIf),
	}, "\n")
}
