package deb

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// Whatever the input, a parser ends, and what it accepts keeps its promises.

func FuzzControl(f *testing.F) {
	f.Add([]byte("Package: a\nDepends: b,\n c\n\nPackage: d\n"))
	f.Add([]byte("# x\nA:\n \n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newControlReader(bytes.NewReader(data))
		for {
			p, err := r.next()
			if err != nil {
				return
			}
			if len(p) == 0 {
				t.Fatal("an empty paragraph")
			}
			for _, f := range p {
				if !validFieldName(f.name) || p.get(strings.ToUpper(f.name)) != f.value {
					t.Fatalf("field %q", f.name)
				}
			}
		}
	})
}

func FuzzRelations(f *testing.F) {
	f.Add("a, b:any (>= 1:2-3) | c (<< 2~), d")
	f.Add("a (= -)")
	f.Add("a (= 0:1:2)")
	f.Add("a (=0:0:)")
	f.Fuzz(func(t *testing.T, s string) {
		rels, err := parseRelations(s)
		if err != nil {
			return
		}
		for _, r := range rels {
			again, err := parseRelations(r.String())
			if err != nil || len(again) != 1 || again[0].String() != r.String() {
				t.Fatalf("%q is read as %q, that as %v, %v", s, r, again, err)
			}
			for _, a := range r {
				if !validName(a.name) {
					t.Fatalf("name %q", a.name)
				}
			}
		}
	})
}

func FuzzPackages(f *testing.F) {
	f.Add([]byte("Package: aa\nVersion: 1\nArchitecture: all\nFilename: pool/a.deb\nSize: 1\nSHA256: " + strings.Repeat("0", 64) + "\nProvides: bb (= 1), cc\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		u := newUniverse("amd64")
		_ = readPackages(bytes.NewReader(data), "amd64", func(p *Package, para paragraph) {
			if !validName(p.Name) || p.Size <= 0 || len(p.SHA256) != 64 || !strings.HasPrefix(p.Path, "pool/") || strings.Contains(p.Path, "..") && !cleanPath(p.Path) {
				t.Fatalf("%+v", p)
			}
			u.add(p, para)
			_, _ = u.resolve(request([]string{p.Name}, nil))
		})
	})
}

func FuzzInRelease(f *testing.F) {
	key := newKey(f, "fuzz")
	good := sign(f, key, "Suite: stable\nCodename: trixie\nDate: Mon, 23 Nov 2026 11:00:00 UTC\nSHA256:\n "+strings.Repeat("0", 64)+" 1 main/x\n")
	f.Add(good)
	check := ReleaseCheck{Keyring: Keyring{keys: openpgp.EntityList{key}}, Suite: "trixie", Now: today}
	if _, err := ReadInRelease(good, check); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadInRelease(data, check)
		if err == nil && (r.Codename != "trixie" || len(r.Files) != 1 || r.Files["main/x"].Size != 1) {
			t.Fatalf("a forgery: %+v", r)
		}
	})
}

func FuzzRelease(f *testing.F) {
	f.Add([]byte("Suite: stable\nDate: Mon, 23 Nov 2026 11:00:00 UTC\nSHA256:\n " + strings.Repeat("0", 64) + " 1 main/x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRelease(data)
		if err != nil {
			return
		}
		for path, file := range r.Files {
			if !cleanPath(path) || file.Size < 0 || len(file.SHA256) != 64 {
				t.Fatalf("%q: %+v", path, file)
			}
		}
	})
}

func FuzzAr(f *testing.F) {
	f.Add(ar(arMember{"debian-binary", []byte("2.0\n")}, arMember{"control.tar", nil}, arMember{"data.tar.xz", []byte("x")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := readAr(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, m := range members {
			if m.Size() > int64(len(data)) {
				t.Fatalf("%q has %d bytes", m.name, m.Size())
			}
		}
		control, _, err := parts(members)
		if err != nil {
			return
		}
		c := &controlFiles{Scripts: map[string]string{}}
		_ = c.readControl(control)
	})
}

func FuzzReadCopyright(f *testing.F) {
	f.Add("Format: x\n\nFiles: *\nLicense: GPL-2+ or MIT, and Zlib with x\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := ReadCopyright([]byte(s)).License
		if got == "" || strings.ContainsAny(got, "\n\t,|") {
			t.Fatalf("%q", got)
		}
	})
}
