package apk

import (
	"bytes"
	"strings"
	"testing"
)

const seedRecords = oneRecord + "C:Q19qUyV9TFS+tErPDBnvqG7VqyvyM=\nP:two\nV:2.0_p1-r3\nA:x86_64\nS:10\nI:20\nT:text: more\nU:https://example.com\nL:MIT\no:two\nm:Someone <a@example.com>\nt:1688146859\nc:da47\nk:100\n" +
	"D:so:libc.musl-x86_64.so.1 !three one>=1.0-r0 cmd:x~2\np:so:two.so=2 virtual\ni:one=1.0-r0 docs\nr:old<2\nq:3\n\n"

func FuzzParseIndex(f *testing.F) {
	f.Add(seedRecords)
	f.Add("P:x\n\n\n")
	f.Add("C:Q1\nP:../x\nV:1\n\n")
	f.Add(strings.Repeat("D:a ", 100))
	f.Fuzz(func(t *testing.T, text string) {
		packages, err := ParseIndex(strings.NewReader(text), "v1/main/x86_64")
		if err != nil {
			return
		}
		for _, p := range packages {
			if strings.Contains(p.File(), "..") && strings.Contains(p.ID(), "/") || strings.Count(p.File(), "/") != 3 {
				t.Errorf("package file %q leaves its folder", p.File())
			}
			for _, list := range [][]Dependency{p.Depends, p.Provides, p.InstallIf, p.Replaces} {
				again, err := parseDependencies(writeDependencies(list))
				if err != nil || writeDependencies(again) != writeDependencies(list) {
					t.Errorf("%q does not read back: %v", writeDependencies(list), err)
				}
			}
		}
		// Whatever an index says, resolving ends.
		if len(packages) > 0 && len(packages) < 50 {
			ix := &Index{Packages: packages}
			ix.Solve(Request{Roots: wishes(packages[0].Name), World: []string{}})
		}
	})
}

func FuzzParseInfo(f *testing.F) {
	f.Add(strings.Replace(sampleInfo, "%s", strings.Repeat("0", 64), 1))
	f.Add("pkgname = a\npkgver = 1\ndatahash = \n")
	f.Add("# only a comment\n")
	f.Add("depend = a>\n")
	f.Fuzz(func(t *testing.T, text string) {
		if i, err := parseInfo(text); err == nil && len(i.dataHash) != 64 {
			t.Errorf("datahash %q was taken", i.dataHash)
		}
	})
}

func FuzzReadInstalled(f *testing.F) {
	f.Add(seedRecords + oneRecord[:len(oneRecord)-1] + "F:\nR:top\nZ:Q1x\nF:usr\nM:0:0:700\nR:a\na:0:0:755\nZ:Q1y\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		records, err := ReadInstalled(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, r := range records {
			r.Files()
		}
	})
}

// FuzzOpenFile reads whole package and index files.
func FuzzOpenFile(f *testing.F) {
	s := sampleOf(f, sampleInfo, file{name: "hello", data: "hello"})
	f.Add(s.bytes())
	f.Add(s.bytes()[:200])
	index := segmentOf(f, true, file{name: "DESCRIPTION", data: "x"}, file{name: "APKINDEX", data: seedRecords})
	f.Add(index)
	f.Add(append(append([]byte(nil), s.signature...), index...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := split(bytes.NewReader(data)); err == nil {
			p.check(s.artifact)
		}
		if _, err := readSigned(bytes.NewReader(data), nil); err == nil {
			t.Error("an index counted without any key")
		}
		indexParts(data)
		parseScripts(data)
	})
}
