package fetch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func machine(t *testing.T, files map[string]string) DiscoverOptions {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, []byte(content))
	}
	env := map[string]string{"GOPROXY": "off"}
	return DiscoverOptions{Root: root, Home: filepath.Join(root, "home"), Getenv: func(name string) string { return env[name] }}
}

func TestDiscoverReadsTheMachine(t *testing.T) {
	o := machine(t, map[string]string{
		"etc/apt/sources.list": "# deb http://commented/debian x main\ndeb [arch=amd64 signed-by=/k] http://one.test/debian bookworm main # c\n" +
			"deb-src http://src.test/debian bookworm main\ndeb cdrom:[x]/ bookworm main\n",
		"etc/apt/sources.list.d/a.sources": "Types: deb deb-src\nURIs: http://two.test/debian\n http://three.test/debian/\nSuites: trixie\nComponents: main\n\n" +
			"# comment\nTypes: deb\nURIs: http://sec.test/debian-security\nSuites: trixie-security\n\nTypes: deb\nEnabled: no\nURIs: http://off.test/debian\nSuites: x\n",
		"etc/apt/sources.list.d/b.list":       "deb http://vendor.test/apt stable main\ndeb mirror+file:/etc/apt/mirrors/m.list trixie main\n",
		"etc/apt/sources.list.d/c.list.saved": "deb http://saved.test/debian x main\n",
		"etc/apt/mirrors/m.list":              "http://four.test/debian priority:1\n# x\n",
		"etc/apk/repositories":                "https://apk.test/alpine/v3.20/main\nhttps://apk.test/alpine/v3.20/community\n@edge https://no.test/alpine/edge/main\n/local\n",
		"home/.m2/settings.xml": `<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors>
			<mirror><id>block</id><mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</blocked></mirror>
			<mirror><id>other</id><mirrorOf>snapshots</mirrorOf><url>http://snap.test/</url></mirror>
			<mirror><id>not</id><mirrorOf>*,!central</mirrorOf><url>http://not.test/</url></mirror>
			<mirror><id>m</id><mirrorOf>repo,central</mirrorOf><url>https://maven.test/r</url></mirror></mirrors>
			<servers><server><id>m</id><username>u</username><password>p w</password></server></servers></settings>`,
		"home/.config/pip/pip.conf": "[global]\nindex-url = https://pip.test/simple\nextra-index-url =\n    https://extra.test/simple\n[list]\nindex-url = https://no.test\n",
		"etc/pip.conf":              "[install]\nindex_url: https://etc.test/simple/\n",
	})
	got, err := Discover(o)
	if err != nil {
		t.Fatal(err)
	}
	want := Mirrors{
		Alpine: {"https://apk.test/alpine", alpineCDN},
		Debian: {"http://one.test/debian", "http://two.test/debian", "http://three.test/debian", "http://four.test/debian",
			"http://vendor.test/apt", "http://sec.test/debian"},
		DebianSecurity: {"http://sec.test/debian-security", "http://one.test/debian-security", "http://two.test/debian-security",
			"http://three.test/debian-security", "http://four.test/debian-security"},
		Maven: {"https://u:p%20w@maven.test/r"},
		PyPI:  {"https://pip.test/simple", "https://etc.test/simple", "https://extra.test/simple"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mirrors (-want +got):\n%s", diff)
	}
}

func TestDiscoverOrder(t *testing.T) {
	o := machine(t, map[string]string{"etc/apt/sources.list": "deb http://apt.test/debian trixie main\n"})
	env := map[string]string{"GOPROXY": "https://go.test,direct", "SHUDL_MIRROR_DEBIAN_SECURITY": "http://env.test/s",
		"SHUDL_MIRROR_DEBIAN": "http://lost.test/d", "PIP_INDEX_URL": "https://pip.test/simple"}
	o.Getenv = func(name string) string { return env[name] }
	o.Flags = map[string]string{Debian: "http://flag.test/debian file:mirror", Alpine: "file:../alpine"}
	o.Defaults = map[string]string{PyPI: "https://default.test/pypi", Maven: "https://default.test/maven2/"}
	got, err := Discover(o)
	if err != nil {
		t.Fatal(err)
	}
	want := Mirrors{
		Alpine:         {"file:../alpine", alpineCDN},
		Debian:         {"http://flag.test/debian", "file:mirror", "http://apt.test/debian"},
		DebianSecurity: {"http://env.test/s", "http://flag.test/debian-security", "http://apt.test/debian-security"},
		Maven:          {"https://default.test/maven2"},
		PyPI:           {"https://pip.test/simple", "https://default.test/simple"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mirrors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"https://go.test"}, o.GoProxies(t.Context())); diff != "" {
		t.Error(diff)
	}
	with := got.WithSnapshot(time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC))
	last := func(list []string) string { return list[len(list)-1] }
	if !strings.HasSuffix(last(with[Debian]), "/debian/20261123T010203Z") || !strings.HasSuffix(last(with[DebianSecurity]), "/debian-security/20261123T010203Z") {
		t.Errorf("with snapshot: %v", with)
	}
	two := got.WithSnapshot(time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC), time.Date(2026, 11, 20, 1, 2, 3, 0, time.UTC))
	if n := len(with[Debian]); !slices.Equal(two[Debian][:n], with[Debian]) || len(two[Debian]) != n+1 || !strings.HasSuffix(last(two[Debian]), "/debian/20261120T010203Z") {
		t.Errorf("with two snapshots: %v", two[Debian])
	}
	if slices.Equal(got[Debian], with[Debian]) {
		t.Error("WithSnapshot changed its receiver")
	}
}

func TestDiscoverRefusesWrongFlags(t *testing.T) {
	for name, address := range map[string]string{"npm": "http://x.test", Alpine: "ftp://x.test", Debian: "x.test/debian", Maven: "file://host/x"} {
		o := machine(t, nil)
		o.Flags = map[string]string{name: address}
		if _, err := Discover(o); err == nil || !strings.Contains(err.Error(), "--mirror "+name) {
			t.Errorf("%s=%s: %v", name, address, err)
		}
	}
}

func FuzzAptSources(f *testing.F) {
	f.Add("Types: deb\nURIs: http://a\nSuites: b\n")
	f.Add("deb [a=b] http://a b c")
	f.Add(" continuation\nEnabled")
	f.Fuzz(func(t *testing.T, content string) {
		parseDeb822(content)
		for _, s := range parseOneLine(content) {
			if len(s.uris) != 1 || len(s.suites) != 1 {
				t.Errorf("%+v", s)
			}
		}
		parsePip(content)
	})
}

// TestGoProxiesAreAskedLate leaves the go command alone until a module is
// needed, and puts its proxies behind what the user said.
func TestGoProxiesAreAskedLate(t *testing.T) {
	asked := 0
	f := &Fetcher{Mirrors: Mirrors{Go: {"https://said.test"}, Maven: {"https://maven.test"}}, GoProxies: func() []string {
		asked++
		return []string{"https://go.test", "https://said.test"}
	}}
	for archive, want := range map[string][]string{Maven: {"https://maven.test"}, Debian: nil} {
		if got := f.bases(archive); !slices.Equal(got, want) || asked != 0 {
			t.Errorf("%s: %v, asked %d times", archive, got, asked)
		}
	}
	if got := f.For("image").bases(Go); !slices.Equal(got, []string{"https://said.test", "https://go.test"}) || asked != 1 {
		t.Errorf("%v, asked %d times", got, asked)
	}
	if len(f.Mirrors[Go]) != 1 {
		t.Errorf("the mirrors have changed: %v", f.Mirrors)
	}
}
