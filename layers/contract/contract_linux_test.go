package contract_test

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/contract/container"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// The whole of a contract, which the image meets.
const met = `user: "1000:1000"
healthy: 20s
stop: 5s
cases:
  - name: it serves
    env: {LOG: json}
    log: json
    files: [{path: /mnt/deep/note, content: a note}, {path: /data/inner, content: in the volume}]
    steps:
      - {name: its user, run: [service, id], prints: "1000:1000 /home/service"}
      - {name: its file, run: [service, read, /mnt/deep/note], prints: a note}
      - {name: its file in the volume, run: [service, read, /data/inner], matches: ^in the}
      - {name: its root, run: [service, write, /etc/x], status: 1, matches: read-only file system}
      - {name: a request, http: "http://127.0.0.1:8080/state", method: POST, data: hello, json: {starts: "1", said: hello, "list[1].deep": "true"}}
      - {name: metrics, metrics: "http://127.0.0.1:8080/metrics", has: [starts]}
      - {name: its log, says: '"start 1"'}
      - {name: a request that is logged later, http: "http://127.0.0.1:8080/later"}
      - {name: its line is waited for, says: it comes after its answer}
      - {restart: main}
      - {name: data stay, http: "http://127.0.0.1:8080/state", json: {starts: "2"}, within: 5s}
  - name: two of them share a volume
    containers:
      - {name: one, env: {DATA: /shared}, volumes: [{path: /shared, name: both, owner: "1000:1000"}]}
      - {name: two, image: other, env: {DATA: /shared, PORT: "8081"}, volumes: [{path: /shared, name: both}]}
    steps:
      - {name: the first, http: "http://127.0.0.1:8080/state", json: {starts: "1"}}
      - {start: two}
      - {name: the second, http: "http://localhost:8081/state", json: {starts: "2"}}
      - {stop: one}
      - {name: the first is gone, run: [service, health], in: two, env: {PORT: "8080"}, status: 1}
  - name: it ends
    cmd: [exit, "7"]
    exits: 7
    says: [^leaving$]
  - name: files of another case are gone
    cmd: [read, /mnt/deep/note]
    exits: 1
    says: [no such file]
  - name: any user
    user: "4711:4711"
    volumes: [{path: /data, owner: "4711:4711"}]
    steps: [{name: its user, run: [service, id], prints: "4711:4711 /"}]
`

// set is a set of recipes: x with this contract, and other.
func set(t *testing.T, text string) *recipes.Set {
	t.Helper()
	files := fstest.MapFS{
		"x/test.yaml":     {Data: []byte(text)},
		"other/test.yaml": {Data: []byte("user: '1000:1000'\nhealthy: 20s\nstop: 5s\ncases: [{name: none, cmd: [exit, '0'], exits: 0}]\n")},
	}
	for _, name := range []string{"x", "other"} {
		files[name+"/recipe.yaml"] = &fstest.MapFile{Data: []byte("name: " + name + "\nsummary: s\nversion: '1'\nbudget: 500MB\n")}
	}
	s, err := recipes.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// options test x, and skip where this machine starts no containers.
func options(t *testing.T, text string, more ...member) contract.Options {
	t.Helper()
	if _, err := container.Find(t.Context(), ""); errors.Is(err, container.ErrNoRuntime) {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	platform, err := recipes.ParsePlatform("linux/" + runtime.GOARCH)
	if err != nil {
		t.Skip(err)
	}
	return contract.Options{
		Set: set(t, text), Distro: recipes.Debian, Platform: platform, Refs: []recipes.Ref{{Name: "x"}}, Source: source(t, more...),
		Command: []string{os.Args[0], "inside"}, Work: t.TempDir(), Stderr: os.Stderr,
	}
}

func run(t *testing.T, o contract.Options) (contract.Report, error) {
	t.Helper()
	reports, err := contract.Run(t.Context(), o)
	if errors.Is(err, sandbox.ErrNoNamespaces) {
		t.Skip(err)
	}
	if left, _ := os.ReadDir(o.Work); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if len(reports) != 1 {
		t.Fatalf("%d reports: %v", len(reports), err)
	}
	return reports[0], err
}

func TestMet(t *testing.T) {
	report, err := run(t, options(t, met))
	for _, c := range report.Checks {
		if !c.OK {
			t.Errorf("%s: %s\n%s", c.Name, c.Found, c.Log)
		}
	}
	if err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, c := range report.Checks {
		if seen[c.Name] {
			t.Errorf("two checks are named %q", c.Name)
		}
		seen[c.Name] = true
	}
	if len(report.Checks) < 30 || report.Boot <= 0 || report.Boot > 20*time.Second || report.Stop <= 0 || report.Memory < 1<<20 || report.Size == 0 {
		t.Errorf("%d checks, boot %s, stop %s, memory %d, size %d", len(report.Checks), report.Boot, report.Stop, report.Memory, report.Size)
	}
}

// A container that was stopped starts again on its volumes, and its log goes on.
func TestStartAfterStop(t *testing.T) {
	report, err := run(t, options(t, `user: "1000:1000"
healthy: 20s
stop: 5s
cases:
  - name: again
    log: json
    env: {LOG: json}
    steps:
      - {stop: main}
      - {start: main}
      - {name: both runs are in its log, says: '(?s)"start 1".*"goodbye".*"start 2"'}
      - {stop: main}
      - {start: main}
      - {name: all three, says: '(?s)"start 1".*"start 2".*"start 3"'}
`))
	if err != nil {
		t.Errorf("%v: %+v", err, report.Checks)
	}
}

// Each way not to meet a contract is seen, and told by the check that it
// breaks. All are cases of one contract, since a case that fails does not keep
// the next one from being seen.
func TestUnmet(t *testing.T) {
	tests := []struct{ name, body, check, want string }{
		{"never healthy", "env: {SICK: yes}", "becomes healthy within 6s", "the health check still fails: status 1"},
		{"ends early", "cmd: [exit, '5']", "becomes healthy within 6s", "it ended with status 5"},
		{"does not start", "env: {PATH: /nowhere, DATA: /nowhere}", "becomes healthy within 6s", "it ended with status 1"},
		{"other status", "cmd: [exit, '5']\n    exits: 0", "ends with status 0", "it ends with status 5"},
		{"other words", "cmd: [exit, '5']\n    exits: 5\n    says: [hello]", "ends with status 5", "does not match hello"},
		{"stubborn", "env: {STUBBORN: yes}", "stops within 4s by SIGTERM", "still runs after 4s"},
		{"stubborn, with a time of its own", "env: {STUBBORN: yes}\n    stop: 2s", "stops within 2s by SIGTERM", "still runs after 2s"},
		{"angry", "env: {ANGRY: yes}", "stops within 4s by SIGTERM", "ends with status 3, want 0 or 143"},
		{"plain log", "log: json", "logs JSON", "no JSON object: start 1"},
		{"partly plain", "log: json\n    env: {LOG: json-mostly}", "logs JSON", "plain words"},
		{"other answer", "steps: [{name: s, run: [service, id], prints: '0:0'}]", "s", `it prints "1000:1000 /home/service", want "0:0"`},
		{"a cause before a long log", "steps: [{name: s, run: [service, exit, '3'], env: {COMPLAINT: '" + strings.Repeat("x", 5000) + "'}}]", "s", "status 3, want 0: leaving"},
		{"other exit", "steps: [{name: s, run: [service, exit, '3']}]", "s", "status 3, want 0: leaving"},
		{"other HTTP status", "steps: [{name: s, http: 'http://127.0.0.1:8080/none'}]", "s", "status 404, want 200"},
		{"nobody there", "steps: [{name: s, http: 'http://127.0.0.1:9999/'}]", "s", "connection refused"},
		{"other JSON", "steps: [{name: s, http: 'http://127.0.0.1:8080/state', json: {starts: '7'}}]", "s", "starts is 1, want 7"},
		{"no such JSON", "steps: [{name: s, http: 'http://127.0.0.1:8080/state', json: {'list[7]': '7'}}]", "s", "there is no element 7"},
		{"no JSON", "steps: [{name: s, http: 'http://127.0.0.1:8080/metrics', json: {a: b}}]", "s", "the answer is no JSON"},
		{"no metrics", "steps: [{name: s, metrics: 'http://127.0.0.1:8080/state'}]", "s", "no Prometheus text"},
		{"bad metrics", "env: {MORE_METRICS: 'starts{'}\n    steps: [{name: s, metrics: 'http://127.0.0.1:8080/metrics'}]", "s", "no Prometheus text"},
		{"missing metric", "steps: [{name: s, metrics: 'http://127.0.0.1:8080/metrics', has: [stops]}]", "s", "1 metric families, but not stops"},
		{"silent log", "steps: [{name: s, says: hello, within: 500ms}]", "s", "no line that matches hello"},
		{"data lost", "env: {DATA: /tmp}\n    steps: [{restart: main}, {name: s, http: 'http://127.0.0.1:8080/state', json: {starts: '2'}}]", "s", "starts is 1, want 2"},
		{"started twice", "steps: [{restart: main}, {start: main}]", "becomes healthy within 6s", "it runs already"},
		{"dies on the way", "env: {ANGRY: yes}\n    steps: [{restart: main}]", "main restarts", "ends with status 3"},
	}
	text := "user: '1:1'\nhealthy: 6s\nstop: 4s\nwritable: [/nowhere]\ncases:\n"
	for _, test := range tests {
		text += "  - name: " + test.name + "\n    " + test.body + "\n"
	}
	file := func(name string, mode int64) member {
		return member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, []byte("x")}
	}
	report, err := run(t, options(t, text, file("bin/su", 0o4755), file("bin/wall", 0o2755), file("var/lib/apt/lists/x", 0o644), file("opt/open", 0o666),
		member{tar.Header{Typeflag: tar.TypeChar, Name: "null"}, nil}, member{tar.Header{Typeflag: tar.TypeDir, Name: "open", Mode: 0o777}, nil}))
	var unmet *contract.UnmetError
	if !errors.As(err, &unmet) || unmet.Images[0] != "x" {
		t.Errorf("the error: %v", err)
	}
	found := func(check, want string) {
		t.Helper()
		for _, c := range report.Checks {
			if !c.OK && c.Name == check && strings.Contains(c.Found, want) {
				return
			}
		}
		t.Errorf("want %q: %q in %+v", check, want, report.Checks)
	}
	for _, test := range tests {
		found(test.name+": "+test.check, test.want)
	}
	found("is to run as 1:1", `says user "1000:1000"`)
	found("has no setuid or setgid program and no file capability", "/bin/su, /bin/wall")
	found("has no device, pipe or socket", "/null")
	found("has no cache of a package manager", "/var/lib/apt/lists/x")
	found("lets nobody write but where it says so", "/nowhere is stated and is no world-writable folder; /open, /opt/open")
}

func TestOverBudget(t *testing.T) {
	o := options(t, "user: \"1000:1000\"\ncases: [{name: c, cmd: [exit, '0'], exits: 0}]\n")
	inner := o.Source
	o.Source = func(ctx context.Context, r *recipes.Image) (contract.Image, error) {
		r.Budget = 1e6
		return inner(ctx, r)
	}
	report, err := run(t, o)
	if err == nil || report.Checks[0].OK || !strings.Contains(report.Checks[0].Found, "over its budget of 1.0 MB") {
		t.Errorf("%v: %+v", err, report.Checks[0])
	}
}

// An interrupt in the midst of a container's life ends everything, and leaves
// nothing behind.
func TestInterrupt(t *testing.T) {
	o := options(t, "user: \"1000:1000\"\nhealthy: 60s\nstop: 5s\ncases: [{name: c, env: {SICK: yes}}]\n")
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = &watcher{begun: func(verb string) {
		if verb == "test" {
			time.AfterFunc(time.Second, cancel)
		}
	}}
	began := time.Now()
	_, err := contract.Run(ctx, o)
	if errors.Is(err, sandbox.ErrNoNamespaces) {
		t.Skip(err)
	}
	if !errors.Is(err, context.Canceled) || time.Since(began) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	if left, _ := filepath.Glob(filepath.Join(o.Work, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, _ := filepath.Glob("/sys/fs/cgroup/*/shudl-test-*"); len(left) > 0 {
		t.Logf("control groups of other runs: %v", left)
	}
}

// watcher hears of each task.
type watcher struct {
	progress.Discard
	begun func(verb string)
}

func (w *watcher) Start(verb, subject string) progress.Task {
	w.begun(verb)
	return w.Discard.Start(verb, subject)
}

// A machine is held to its own platform.
func TestOtherPlatform(t *testing.T) {
	_, err := contract.Run(t.Context(), contract.Options{Platform: "linux/s390x"})
	if !errors.Is(err, contract.ErrPlatform) {
		t.Error(err)
	}
}

// A health check that hangs is killed and leaves a process behind that the
// container cannot end without.
func TestHangingHealth(t *testing.T) {
	report, err := run(t, options(t, "user: \"1000:1000\"\nhealthy: 60s\nstop: 5s\ncases: [{name: c, env: {HANG: yes}}]\n"))
	if err != nil {
		t.Fatalf("%v: %+v", err, report.Checks)
	}
}
