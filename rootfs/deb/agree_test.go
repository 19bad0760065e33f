package deb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// apt is the real apt-get, set up with folders of its own and the package
// lists of trixie for one architecture.
type apt struct {
	dir, arch, config string
}

// needNetwork skips a test that reads a real mirror unless it is asked for.
func needNetwork(t testing.TB) {
	t.Helper()
	if os.Getenv("SHUDL_TEST_NETWORK") != "1" {
		t.Skip("reads the machine's Debian mirror: set SHUDL_TEST_NETWORK=1 to run it")
	}
}

// hostMirrors returns where apt on this machine takes Debian from: the main
// archive and the security archive.
func hostMirrors(t testing.TB) (main, security string) {
	t.Helper()
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			uri, ok := strings.CutPrefix(line, "URIs:")
			uri = strings.TrimSuffix(strings.TrimSpace(uri), "/")
			switch {
			case !ok:
			case strings.HasSuffix(uri, "/debian") && main == "":
				main = uri
			case strings.HasSuffix(uri, "/debian-security") && security == "":
				security = uri
			}
		}
	}
	if main == "" || security == "" {
		t.Skip("apt on this machine has no deb822 sources for Debian and its security archive")
	}
	return main, security
}

// newApt sets it up as images want it: without recommendations, and without
// what was marked on the way, is needed by nothing, and only stays in apt's
// answer because something recommends or suggests it.
func newApt(t testing.TB, arch string) *apt {
	t.Helper()
	needNetwork(t)
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("apt-get is not installed")
	}
	main, security := hostMirrors(t)
	a := &apt{dir: t.TempDir(), arch: arch}
	for _, d := range []string{"lists/partial", "cache/archives/partial", "parts", "etc"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sources := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n"+
		"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie-updates main\n"+
		"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie-security main\n", main, main, security)
	write(t, filepath.Join(a.dir, "sources.list"), sources)
	write(t, filepath.Join(a.dir, "status"), "")
	a.config = filepath.Join(a.dir, "apt.conf")
	write(t, a.config, fmt.Sprintf(`Dir::Etc::main "/dev/null"; Dir::Etc::parts "%[1]s/parts";
Dir::Etc::sourcelist "%[1]s/sources.list"; Dir::Etc::sourceparts "%[1]s/parts";
Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "%[1]s/parts";
Dir::State "%[1]s"; Dir::State::lists "%[1]s/lists"; Dir::State::status "%[1]s/status"; Dir::Cache "%[1]s/cache";
APT::Architecture "%[2]s"; APT::Architectures "%[2]s"; Acquire::Languages "none"; APT::Sandbox::User "root";
Acquire::GzipIndexes "false"; APT::Install-Recommends "false"; APT::Install-Suggests "false";
APT::AutoRemove::RecommendsImportant "false"; APT::AutoRemove::SuggestsImportant "false";
`, a.dir, arch))
	if out, err := a.run("update"); err != nil {
		t.Fatalf("apt-get update: %v\n%s", err, redact(out))
	}
	return a
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// redact keeps mirror hosts out of test output.
func redact(s string) string {
	var out []string
	for _, w := range strings.Fields(s) {
		if strings.Contains(w, "://") {
			w = "(mirror)"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

func (a *apt) run(args ...string) (string, error) {
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// install says what apt would install, as sorted name=version; ok is false
// where it refuses.
func (a *apt) install(names []string, held string) (set []string, ok bool, out string) {
	status := filepath.Join(a.dir, "status")
	// A changed status makes apt build its cache anew, which takes seconds.
	if old, err := os.ReadFile(status); err != nil || string(old) != held {
		if err := os.WriteFile(status, []byte(held), 0o644); err != nil {
			return nil, false, err.Error()
		}
	}
	out, err := a.run(append([]string{"-s", "install", "--no-install-recommends"}, names...)...)
	for line := range strings.SplitSeq(out, "\n") {
		f := strings.Fields(line)
		if len(f) >= 3 && f[0] == "Inst" {
			set = append(set, f[1]+"="+strings.Trim(f[2], "("))
		}
	}
	slices.Sort(set)
	return set, err == nil, out
}

// universe reads the very lists that apt reads, in the order of its sources.
func (a *apt) universe(t testing.TB) *universe {
	t.Helper()
	u := newUniverse(a.arch)
	for _, suite := range []string{"trixie", "trixie-updates", "trixie-security"} {
		names, _ := filepath.Glob(filepath.Join(a.dir, "lists", "*_dists_"+suite+"_main_binary-"+a.arch+"_Packages"))
		if len(names) != 1 {
			t.Fatalf("lists of %s: %v", suite, names)
		}
		data, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := readPackages(bytes.NewReader(data), a.arch, u.add); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// excluded writes a dpkg status in which the names are installed at a version
// above all others.
func (a *apt) excluded(u *universe, names []string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nVersion: 999:0\nArchitecture: %s\n", n, a.arch)
		if v := u.versions[n]; len(v) > 0 && v[0].multiArchAllowed {
			b.WriteString("Multi-Arch: allowed\n")
		}
		b.WriteString("Maintainer: nobody\nDescription: left out\n\n")
	}
	return b.String()
}

func request(names, exclude []string) Request {
	var r Request
	for _, n := range names {
		r.Roots = append(r.Roots, recipes.Package{Name: n})
	}
	for _, n := range exclude {
		r.Exclude = append(r.Exclude, recipes.Exclude{Name: n, Reason: "test"})
	}
	return r
}

// agree compares our answer with apt's and returns its size.
func agree(t *testing.T, a *apt, u *universe, names, exclude []string) (size int, refused, same bool) {
	t.Helper()
	want, ok, out := a.install(names, a.excluded(u, exclude))
	pkgs, err := u.resolve(request(names, exclude))
	var got []string
	for _, p := range pkgs {
		got = append(got, p.Name+"="+p.Version)
	}
	slices.Sort(got)
	switch {
	case ok != (err == nil):
		t.Errorf("%s %v without %v: apt agrees to it: %v; we say: %v\n%s", a.arch, names, exclude, ok, err, tail(redact(out)))
		return 0, !ok, false
	case ok && !slices.Equal(got, want):
		t.Errorf("%s %v without %v: only apt %v; only we %v", a.arch, names, exclude, minus(want, got), minus(got, want))
		return len(want), false, false
	}
	return len(want), !ok, true
}

func minus(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

func tail(s string) string { return s[max(0, len(s)-600):] }

// TestAgreesWithApt holds the resolver to the real apt-get, in an empty root
// and with exclusions entered as installed.
func TestAgreesWithApt(t *testing.T) {
	base := []string{"base-files", "base-passwd", "libc6", "libc-bin", "bash", "dash", "coreutils", "findutils", "grep", "sed", "mawk",
		"gzip", "tar", "hostname", "curl", "wget", "ca-certificates", "tzdata", "netbase", "tini"}
	without := []string{"dpkg", "debconf", "perl-base", "perl", "perl-modules-5.40", "libperl5.40", "init-system-helpers", "sysvinit-utils", "libcrypt-dev"}
	pg := append(slices.Clone(without), "postgresql-common", "postgresql-common-dev", "postgresql-client-common", "ssl-cert", "ucf", "locales",
		"libllvm19", "libz3-4", "sensible-utils", "adduser", "passwd")
	sets := []struct{ names, exclude []string }{
		{base, nil}, {base, without},
		{[]string{"postgresql-17"}, nil}, {append(slices.Clone(base), "postgresql-17"), pg},
		{[]string{"patroni"}, nil}, {append(slices.Clone(base), "postgresql-17", "patroni"), pg},
		{[]string{"openjdk-21-jre-headless"}, nil}, {[]string{"openjdk-25-jre-headless"}, nil},
		{append(slices.Clone(base), "openjdk-21-jre-headless"), without}, {append(slices.Clone(base), "openjdk-25-jre-headless"), without},
		{[]string{"python3"}, nil}, {append(slices.Clone(base), "python3", "openjdk-21-jre-headless"), without},
		{[]string{"python3-psycopg2", "python3-yaml", "python3-urllib3"}, nil}, {[]string{"mail-transport-agent"}, nil},
		{[]string{"pidgin-extprefs", "initscripts", "libghc-base16-bytestring-doc"}, nil}, {[]string{"exim4", "postfix"}, nil},
		{[]string{"postgresql-17", "postgresql-client-17=1"}, nil}, {[]string{"no-such-package"}, nil},
	}
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			a := newApt(t, arch)
			u := a.universe(t)
			for _, s := range sets {
				n, _, _ := agree(t, a, u, s.names, s.exclude)
				t.Logf("%v without %d: %d packages", s.names, len(s.exclude), n)
			}
			drawn(t, a, u, 7, setsToDraw(t))
			seed := uint64(time.Now().UnixNano())
			drawn(t, a, u, seed, setsToDraw(t)/4)
		})
	}
}

// setsToDraw is how many sets are drawn; SHUDL_TEST_SETS says otherwise.
func setsToDraw(t *testing.T) int {
	s := os.Getenv("SHUDL_TEST_SETS")
	if s == "" {
		return 60
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// drawn compares sets of one to three names drawn from all packages.
func drawn(t *testing.T, a *apt, u *universe, seed uint64, sets int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var names []string
	for n := range u.versions {
		names = append(names, n)
	}
	slices.Sort(names)
	total, refusals, agreed := 0, 0, 0
	for range sets {
		var set []string
		for range 1 + r.IntN(3) {
			set = append(set, names[r.IntN(len(names))])
		}
		n, refused, same := agree(t, a, u, set, nil)
		total += n
		if refused {
			refusals++
		}
		if same {
			agreed++
		}
	}
	t.Logf("seed %d: %d of %d sets agree (%d refused by both), %d packages in all", seed, agreed, sets, refusals, total)
}
