package apk

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// oracle is Alpine's own apk 2.14, taken from the minirootfs and run without
// root and without chroot on a root of its own.
type oracle struct {
	root         string // where apk itself lies
	target       string // the root that it looks at
	repositories string
	keys         string
}

// newOracle prepares apk on an empty root, or on a copy of the minirootfs.
func newOracle(t testing.TB, onMinirootfs bool) *oracle {
	t.Helper()
	needsAPK(t)
	o := &oracle{root: minirootfs(t, "./lib", "./usr/lib", "./sbin/apk"), keys: shared(t, "keys")}
	o.repositories = filepath.Join(t.TempDir(), "repositories")
	branch := shared(t, "v3.19")
	lines := fmt.Sprintf("%s/main\n%s/community\n", branch, branch)
	if err := os.WriteFile(o.repositories, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	if onMinirootfs {
		o.target = minirootfs(t)
		return o
	}
	o.target = t.TempDir()
	if out, err := o.command("--initdb", "add").CombinedOutput(); err != nil {
		t.Fatalf("apk --initdb: %v\n%s", err, out)
	}
	return o
}

func (o *oracle) command(args ...string) *exec.Cmd {
	base := []string{
		"--library-path", filepath.Join(o.root, "lib") + ":" + filepath.Join(o.root, "usr/lib"),
		filepath.Join(o.root, "sbin/apk"), "--root", o.target, "--arch", "x86_64", "--keys-dir", o.keys,
		"--repositories-file", o.repositories, "--no-cache",
	}
	return exec.Command(filepath.Join(o.root, "lib/ld-musl-x86_64.so.1"), append(base, args...)...)
}

// step matches a line such as "(3/14) Installing musl (1.2.4-r2)".
var step = regexp.MustCompile(`^\(\d+/\d+\) (.*)$`)

// answer is what apk says to a set: its steps in order, or a refusal.
func (o *oracle) answer(t testing.TB, set []string) (steps []string, refused bool, output string) {
	t.Helper()
	return o.run(t, append([]string{"add", "--simulate"}, set...)...)
}

// run is what apk says to a command that simulates.
func (o *oracle) run(t testing.TB, args ...string) (steps []string, refused bool, output string) {
	t.Helper()
	cmd := o.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	for line := range strings.Lines(stdout.String()) {
		if m := step.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			steps = append(steps, m[1])
		}
	}
	return steps, err != nil, stdout.String() + stderr.String()
}

// verdict asks apk how two versions compare: <, =, > or ?.
func (o *oracle) verdict(t testing.TB, a, b string) string {
	t.Helper()
	out, err := o.command("version", "-t", a, b).Output()
	if len(out) == 0 {
		t.Fatalf("apk version -t %q %q: %v", a, b, err)
	}
	return strings.TrimSpace(string(out))
}

// ours writes a solution as apk prints its steps.
func ours(s *Solution) []string {
	var steps []string
	for _, c := range s.Changes {
		switch {
		case c.Old == nil:
			steps = append(steps, fmt.Sprintf("Installing %s (%s)", c.New.Name, c.New.Version))
		case c.New == nil:
			steps = append(steps, fmt.Sprintf("Purging %s (%s)", c.Old.Name, c.Old.Version))
		case c.New == c.Old:
		default:
			verb := map[int]string{-1: "Downgrading", 0: "Replacing", 1: "Upgrading"}[CompareVersions(c.New.Version, c.Old.Version)]
			steps = append(steps, fmt.Sprintf("%s %s (%s -> %s)", verb, c.New.Name, c.Old.Version, c.New.Version))
		}
	}
	return steps
}

// minirootfsRequest is a request on what an unpacked minirootfs holds.
func minirootfsRequest(t testing.TB, root string) Request {
	t.Helper()
	file, err := os.Open(filepath.Join(root, "lib/apk/db/installed"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := ReadInstalled(file)
	if err != nil {
		t.Fatal(err)
	}
	world, err := os.ReadFile(filepath.Join(root, "etc/apk/world"))
	if err != nil {
		t.Fatal(err)
	}
	return Request{Installed: Packages(records), World: strings.Fields(string(world))}
}
