package recipes

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// withContract is one recipe with this contract, a helper and the bases.
func withContract(text string) fstest.MapFS {
	files := oneRecipe(head + "streams: {'1': {distros: [debian]}, '2': {distros: [alpine]}}\n")
	files["x/test.yaml"] = &fstest.MapFile{Data: []byte(text)}
	files["help/recipe.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(head, "name: x", "name: help", 1))}
	return files
}

const contractHead = "user: '1:1'\nhealthy: 1m\nstop: 10s\ncases:\n" // four lines

// A contract is made concrete for distro and stream, and changes nothing of
// the image's digest.
func TestContract(t *testing.T) {
	set, err := Load(withContract(contractHead + `  - name: one
    env: {A: "${stream}", java.name: ""}
    cmd: [a, ""]
    log: json
    plain: [{line: ^W, reason: r}]
    volumes: [{path: /v, owner: "0:0", mode: "0750"}]
    files: [{path: /f, content: c, compress: xz}]
    steps:
      - {name: s, run: [ls, ""], prints: "a\n", within: 3s}
      - {name: p, http: "http://localhost:1/x?y", json: {a.b: "1"}}
      - {restart: main, cmd: []}
  - name: two
    distros: [debian]
    authority: {port: 8443, file: /ca}
    programs: [{name: p, run: [etcd], ready: "http://127.0.0.1:2379/health", install: i}]
    containers: [{name: a}, {name: b, image: help, exits: 0}, {name: c, image: base, exits: 3}]
    steps: [{start: b}]
`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := set.Contract(Ref{Name: "x"}, Debian, LinuxARM64)
	if err != nil {
		t.Fatal(err)
	}
	text := "a"
	want := []Container{{Name: "main", Env: []Variable{{"A", "1"}, {"java.name", ""}}, Cmd: []string{"a", ""}, JSON: true,
		Files: []MountedFile{{Path: "/f", Content: "c", Compress: "xz", Mode: 0o644}}, Volumes: []Volume{{Path: "/v", Owner: "0:0", Mode: 0o750}}}}
	ignore := cmpopts.IgnoreFields(Container{}, "Pos", "Plain")
	if diff := cmp.Diff(want, c.Cases[0].Containers, ignore); diff != "" {
		t.Error(diff)
	}
	steps := []Step{{Name: "s", Do: Run, In: "main", Args: []string{"ls", ""}, Prints: &text, Within: 3 * time.Second},
		{Name: "p", Do: HTTP, URL: "http://localhost:1/x?y", Method: "GET", Status: 200, JSON: []Variable{{"a.b", "1"}}},
		{Name: "main restarts", Do: Restart, In: "main", Args: []string{}}}
	if diff := cmp.Diff(steps, c.Cases[0].Steps, cmpopts.IgnoreFields(Step{}, "Pos")); diff != "" {
		t.Error(diff)
	}
	if got := c.Helpers(); !cmp.Equal(got, []Ref{{Name: "help"}, {Name: "base-debian"}}) {
		t.Errorf("helpers: %v", got)
	}
	alpine, err := set.Contract(Ref{Name: "x"}, Alpine, LinuxAMD64)
	if err != nil || len(alpine.Cases) != 1 || alpine.Cases[0].Containers[0].Env[0].Value != "2" {
		t.Errorf("on Alpine: %+v, %v", alpine, err)
	}
	if _, err := set.Contract(Ref{Name: "help"}, Debian, LinuxAMD64); err == nil || !strings.Contains(err.Error(), "has no contract") {
		t.Errorf("without a contract: %v", err)
	}
	files := withContract(contractHead)
	delete(files, "x/test.yaml")
	without, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := set.Image(Ref{Name: "x"}, Debian, LinuxAMD64)
	b, _ := without.Image(Ref{Name: "x"}, Debian, LinuxAMD64)
	if a.Digest != b.Digest {
		t.Error("a contract changes the digest of its recipe")
	}
}

// Each mistake is told with its place and key.
func TestContractMistakes(t *testing.T) {
	one := contractHead + "  - name: c\n" // five lines
	step := one + "    steps:\n      - "  // the step in line seven, column nine
	for name, test := range map[string]struct{ contract, want string }{
		"unknown key":         {"users: x\n" + one, "x/test.yaml:1:1: users: unknown key"},
		"no user":             {"cases: [{name: c, exits: 0}]\n", "x/test.yaml:1:1: user: missing"},
		"user by name":        {strings.Replace(one, "'1:1'", "app", 1), "x/test.yaml:1:7: user: bad user, want UID:GID"},
		"no cases":            {"user: '1:1'\n", "x/test.yaml:1:1: cases: want at least one"},
		"bad duration":        {strings.Replace(one, "1m", "soon", 1), "x/test.yaml:2:10: healthy: bad duration"},
		"relative":            {"writable: [tmp]\n" + one, "x/test.yaml:1:11: writable: path \"tmp\" must begin with a slash"},
		"case twice":          {one + "  - name: c\n", "x/test.yaml:6:11: cases[1].name: two cases are named"},
		"case without name":   {contractHead + "  - {exits: 0}\n", "x/test.yaml:5:5: cases[0].name: missing"},
		"unknown key of case": {one + "    step: []\n", "x/test.yaml:6:5: cases[0].step: unknown key"},
		"server without time": {"user: '1:1'\ncases: [{name: c}]\n", "x/test.yaml:2:9: cases[0]: a container that does not end by itself wants"},
		"bad pattern":         {one + "    says: ['(']\n", "x/test.yaml:6:12: cases[0].says[0]: missing closing )"},
		"bad log":             {one + "    log: xml\n", "x/test.yaml:6:10: cases[0].log: want text or json"},
		"plain text":          {one + "    plain: [{line: x, reason: y}]\n", "x/test.yaml:6:12: cases[0].plain: says which lines are no JSON, but"},
		"bad compression":     {one + "    files: [{path: /a, content: b, compress: bz2}]\n", "x/test.yaml:6:46: cases[0].files[0].compress: want gzip"},
		"bad owner":           {one + "    volumes: [{path: /a, owner: me}]\n", "x/test.yaml:6:33: cases[0].volumes[0].owner: bad owner, want UID:GID"},
		"bad capability":      {one + "    capabilities: [cap_chown]\n", "x/test.yaml:6:19: cases[0].capabilities: bad capability"},
		"bad port":            {one + "    authority: {port: 443, file: /a}\n", "x/test.yaml:6:23: cases[0].authority.port: want a port"},
		"bad program":         {one + "    programs: [{name: p, install: i}]\n", "x/test.yaml:6:16: cases[0].programs[0].run: missing"},
		"both forms":          {one + "    env: {A: b}\n    containers: [{name: a}]\n", "x/test.yaml:6:10: cases[0].env: stands beside containers"},
		"container twice":     {one + "    containers: [{name: a}, {name: a}]\n", "x/test.yaml:6:36: cases[0].containers[1].name: two containers"},
		"unknown image":       {one + "    containers: [{name: a, image: nowhere}]\n", "x/test.yaml:6:18: image: there is no image nowhere for alpine"},
		"unknown stream":      {one + "    containers: [{name: a, image: 'help:9'}]\n", "x/test.yaml:6:18: image: there is no image help:9"},
		"no action":           {step + "{name: s}\n", "x/test.yaml:7:9: cases[0].steps[0]: no action: there are run, http"},
		"two actions":         {step + "{name: s, run: [a], says: b}\n", "x/test.yaml:7:35: cases[0].steps[0].says: stands beside run"},
		"needless key":        {step + "{name: s, run: [a], method: PUT}\n", "x/test.yaml:7:29: cases[0].steps[0].method: has no meaning with run"},
		"step without name":   {step + "{run: [a]}\n", "x/test.yaml:7:9: cases[0].steps[0].name: missing"},
		"empty command":       {step + "{name: s, run: []}\n", "x/test.yaml:7:24: cases[0].steps[0].run: want a list that begins with a command"},
		"elsewhere":           {step + "{name: s, http: 'http://example.com/'}\n", "x/test.yaml:7:25: cases[0].steps[0].http: bad address"},
		"unknown container":   {step + "{restart: other}\n", "x/test.yaml:7:19: cases[0].steps[0].restart: there is no container \"other\": there are main"},
		"which container":     {one + "    containers: [{name: a}, {name: b}]\n    steps: [{name: s, run: [a]}]\n", "x/test.yaml:7:13: cases[0].steps[0].in: missing: the case has several"},
	} {
		t.Run(name, func(t *testing.T) {
			wantMistake(t, withContract(test.contract), test.want)
		})
	}
}

// wantMistake loads recipes and wants an error that begins like this.
func wantMistake(t *testing.T, files fs.FS, want string) {
	t.Helper()
	_, err := Load(files)
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("got %v, want %s", err, want)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Error(), want) {
			return
		}
	}
	t.Errorf("got %v, want %s", err, want)
}

// Every image that is built in promises something, for each distro, and so does
// every one that CI starts from real Alpine data.
func TestEveryImageHasAContract(t *testing.T) {
	for _, d := range Distros() {
		holdContracts(t, "", d)
	}
	holdContracts(t, "testdata/alpine", Alpine)
}

func holdContracts(t *testing.T, dir string, d Distro) {
	set, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	images, err := set.Images(d, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range images {
		c, err := set.Contract(image.Ref, d, LinuxAMD64)
		if err != nil {
			t.Error(err)
			continue
		}
		restarts := false
		logs := map[Variable]bool{}
		for _, one := range c.Cases {
			for _, s := range one.Steps {
				restarts = restarts || s.Do == Restart
			}
			for _, container := range one.Containers {
				for _, v := range container.Env {
					logs[v] = true
				}
			}
		}
		for _, v := range []Variable{{"SHUDL_LOG_FORMAT", "json"}, {"SHUDL_LOG_LEVEL", "loud"}} {
			if dir == "" && image.Config.Healthcheck != nil && !logs[v] {
				t.Errorf("%s on %s: no case sets %s=%s", image.Ref, d, v.Name, v.Value)
			}
		}
		if len(image.Config.Volumes) > 0 && image.Config.Healthcheck != nil && !restarts {
			t.Errorf("%s on %s has a volume, and no case restarts it", image.Ref, d)
		}
		if c.User != image.Config.User {
			t.Errorf("%s on %s runs as %s, its contract says %s", image.Ref, d, image.Config.User, c.User)
		}
	}
}

// Rows are asked for only where they are written, and writing ends.
func TestStepsOfWriting(t *testing.T) {
	const (
		url    = "postgres://a:b@127.0.0.1:5431,127.0.0.1:5432/postgres?target_session_attrs=read-write"
		writes = "{name: w, writes: \"" + url + "\"}"
		kept   = "{name: k, kept: \"" + url + "\"}"
	)
	for steps, want := range map[string]string{
		writes + ", {kill: main}, {resumed: killed, within: 1s}, " + kept: "",
		"{resumed: killed}": "resumed without writes before it",
		kept:                "kept without writes before it",
		writes + ", " + kept + ", " + kept + ", " + writes + ", " + kept: "",
		writes + ", " + kept + ", {resumed: killed}, " + kept:            "resumed without writes before it",
		writes:                               "writes without kept after it",
		writes + ", " + writes + ", " + kept: "a second writes",
		"{name: w, writes: \"postgres://a:b@192.0.2.1:5432/postgres\"}": "want postgres://",
		"{kill: other}": "there is no container \"other\"",
	} {
		_, err := Load(withContract("user: \"1:1\"\nhealthy: 1s\nstop: 1s\ncases:\n  - name: c\n    steps: [" + steps + "]\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", steps, err, want)
		}
	}
}
