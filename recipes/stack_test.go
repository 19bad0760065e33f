package recipes

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// withStack is one recipe, help and the bases, and a stack.
func withStack(name, text string) fstest.MapFS {
	files := withContract(contractHead + "  - name: one\n")
	files["stacks/"+name] = &fstest.MapFile{Data: []byte(text)}
	return files
}

// A stack names its images, also one of its own name, and is made for a distro.
func TestStack(t *testing.T) {
	set, err := Load(withStack("help.yaml", `summary: two
distros: [debian]
cases:
  - name: one
    containers: [{name: a, image: x, env: {A: "${distro}"}}, {name: b, image: help, exits: 0}]
    steps: [{name: s, run: [ls], in: a}, {restart: a}]
`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := set.Stack("help", Debian, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Helpers(); !cmp.Equal(got, []Ref{{Name: "x", Stream: "1"}, {Name: "help"}}) {
		t.Errorf("images: %v", got)
	}
	if got := c.Cases[0].Containers[0].Env; !c.Stack || c.Summary != "two" || !cmp.Equal(got, []Variable{{"A", "debian"}}) {
		t.Errorf("%+v", c)
	}
	if got := set.Stacks(Debian); len(got) != 1 || got[0] != c {
		t.Errorf("stacks: %v", got)
	}
	for _, test := range []struct {
		name string
		d    Distro
		want string
	}{{"help", Alpine, "and no other"}, {"nosuch", Debian, `no stack "nosuch" for debian: there are help`}} {
		if _, err := set.Stack(test.name, test.d, LinuxAMD64); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Each mistake in a stack is told with its place and key.
func TestStackMistakes(t *testing.T) {
	head := "summary: s\ncases:\n  - name: one\n"
	for name, test := range map[string]struct{ file, stack, want string }{
		"unknown key":   {"a.yaml", "user: '1:1'\n" + head, "stacks/a.yaml:1:1: user: unknown key"},
		"no summary":    {"a.yaml", "cases: [{name: c, image: help}]\n", "stacks/a.yaml:1:1: summary: missing"},
		"no cases":      {"a.yaml", "summary: s\n", "stacks/a.yaml:1:1: cases: want at least one"},
		"no image":      {"a.yaml", head + "    containers: [{name: a}]\n", "stacks/a.yaml:4:18: cases[0].containers[0].image: missing: a stack has no image of its own"},
		"unknown image": {"a.yaml", head + "    containers: [{name: a, image: nowhere}]\n", "stacks/a.yaml:4:18: image: there is no image nowhere for alpine"},
		"no stream":     {"a.yaml", head + "    image: x:1\n", "stacks/a.yaml:3:5: image: there is no image x:1 for alpine"},
		"bad step":      {"a.yaml", head + "    image: help\n    steps: [{restart: b}]\n", "stacks/a.yaml:5:23: cases[0].steps[0].restart: there is no container"},
		"no YAML":       {"a.yaml", "{", "stacks/a.yaml:1:"},
		"bad name":      {"A_b.yaml", head + "    image: help\n", "stacks/A_b.yaml: bad name of a stack"},
	} {
		t.Run(name, func(t *testing.T) {
			wantMistake(t, withStack(test.file, test.stack), test.want)
		})
	}
}

// Every stack restarts each of its containers, by force or not, and works on.
func TestStacksRestart(t *testing.T) {
	set, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Distros() {
		if len(set.Stacks(d)) == 0 {
			t.Errorf("no stack for %s", d)
		}
		for _, c := range set.Stacks(d) {
			for _, one := range c.Cases {
				left := map[string]bool{}
				for _, container := range one.Containers {
					left[container.Name] = true
				}
				for _, s := range one.Steps {
					if s.Do == Restart || s.Do == Kill {
						delete(left, s.In)
					}
				}
				if last := one.Steps[len(one.Steps)-1].Do; len(left) > 0 || last == Restart {
					t.Errorf("stack %s, case %s: %v never restart, and it ends with %s", c.Ref, one.Name, left, last)
				}
			}
		}
	}
}
