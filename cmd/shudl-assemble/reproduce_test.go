package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/assemble/assembletest"
	"github.com/shudl/shudl-assemble/layers/reproduce"
	"github.com/shudl/shudl-assemble/recipes"
)

// user is a folder with a recipe of files and its lock, and a user at home in
// it, whose machine has no network.
type user struct{ dir string }

func newUser(t *testing.T) user {
	t.Helper()
	u := user{t.TempDir()}
	for name, value := range map[string]string{
		"HOME": u.dir, "XDG_CACHE_HOME": filepath.Join(u.dir, "cache"), "XDG_CONFIG_HOME": filepath.Join(u.dir, "config"),
		"GOPROXY": "off", "GITHUB_ACTIONS": "", "GITLAB_CI": "", "COSIGN_PASSWORD": "", "SOURCE_DATE_EPOCH": "",
	} {
		t.Setenv(name, value)
	}
	u.write(t, "recipes/base-debian/recipe.yaml", "name: base-debian\nsummary: A base\ndistros: [debian]\nversion: '1.0'\nlayers: [{name: system, files: files/}]\n")
	u.write(t, "recipes/base-debian/files/etc/motd", "hello\n")
	u.lock(t)
	return u
}

func (u user) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(u.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// lock writes the lock of the recipes as they are.
func (u user) lock(t *testing.T) {
	t.Helper()
	dir := filepath.Join(u.dir, "recipes")
	set, err := recipes.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := assembletest.NewLock()
	for _, p := range recipes.Platforms() {
		image, err := set.Image(recipes.Ref{Name: "base-debian"}, recipes.Debian, p)
		if err != nil {
			t.Fatal(err)
		}
		l.Put(recipes.LockedImage{Ref: image.Ref, Platform: p, Sources: image.Sources()})
	}
	if err := l.WriteFile(recipes.LockPath(dir, recipes.Debian)); err != nil {
		t.Fatal(err)
	}
}

// shudl runs the command on the folder's recipes.
func (u user) shudl(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(append(args, "--recipes", filepath.Join(u.dir, "recipes"), "--offline", "--progress", "quiet"), &out, &errs)
	return code, out.String(), errs.String()
}

func TestReproduce(t *testing.T) {
	u := newUser(t)
	images := "oci:" + filepath.ToSlash(filepath.Join(u.dir, "images"))
	ref := images + "/base-debian:latest-debian"
	key := filepath.Join(u.dir, "config/shudl-assemble/cosign.pub")
	if code, _, stderr := u.shudl("push", "--all", "--distro", "debian", "--locked", "--platform", "all", "--to", images); code != 0 {
		t.Fatal(stderr)
	}
	code, stdout, stderr := u.shudl("reproduce", ref)
	if code != 0 || strings.Count(stdout, "built again with the same diffIDs and digests") != 2 ||
		!strings.Contains(stderr, "the signature of the provenance was not checked") {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = u.shudl("reproduce", ref, "--key", key, "--platform", "linux/arm64", "--output", "json")
	var r reproduce.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 || r.Signers == "" || len(r.Images) != 1 || strings.Contains(stderr, "not checked") {
		t.Errorf("%d %v\n%s%s", code, err, stdout, stderr)
	}
	left, err := filepath.Glob(filepath.Join(u.dir, "cache/shudl-assemble/tmp/*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}

	for want, args := range map[string][]string{
		"--cold downloads everything": {ref, "--cold"},
		"it is text or json":          {ref, "--output", "table"},
		"unknown platform":            {ref, "--platform", "linux/mips"},
		"--key:":                      {ref, "--key", "nowhere.pub"},
	} {
		if code, _, stderr := u.shudl(append([]string{"reproduce"}, args...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%d: %s\nwant %q", code, stderr, want)
		}
	}
	if code, _, _ := u.shudl("reproduce", images+"/base-debian:nowhere"); code != 11 {
		t.Errorf("no tag: %d", code)
	}

	// The recipe has moved since.
	u.write(t, "recipes/base-debian/files/etc/motd", "good morning\n")
	u.lock(t)
	code, stdout, stderr = u.shudl("reproduce", ref)
	if code != 2 || !strings.Contains(stderr, "recipe of base-debian: sha256") || strings.Contains(stdout, "ok") {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	if err := os.Remove(filepath.Join(u.dir, "recipes/debian.lock")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr = u.shudl("reproduce", ref); code != 2 || !strings.Contains(stderr, "there is no lock here") {
		t.Errorf("%d: %s", code, stderr)
	}
}

func TestReproductionInWords(t *testing.T) {
	var b bytes.Buffer
	r := reproduce.Report{Reference: "oci:x/a:1", Images: []reproduce.Image{
		{Platform: "linux/amd64", Reproduced: true, Layers: 3, Digest: "sha256:0123"},
		{Platform: "linux/arm64", Difference: &reproduce.Difference{
			In: "layer", Layer: 2, Name: "a/program", Path: "usr/bin/run", More: 4,
			Aspects: []reproduce.Aspect{{What: "mode", Published: "4755", Rebuilt: "0755"}, {What: "time", Published: "a", Rebuilt: "b"}},
		}},
	}, Index: &reproduce.Difference{In: "index", Path: "annotations.x", Aspects: []reproduce.Aspect{{What: "value", Published: "1", Rebuilt: "2"}}}}
	if err := writeReproduction(&b, r, ""); err != nil {
		t.Fatal(err)
	}
	want := `ok      oci:x/a:1  linux/amd64: 3 layers, built again with the same diffIDs and digests, sha256:0123
FAILED  oci:x/a:1  linux/arm64: layer 2 (a/program), usr/bin/run: mode, time
        mode
          published: 4755
          rebuilt:   0755
        time
          published: a
          rebuilt:   b
        and 4 more paths of this layer
FAILED  oci:x/a:1  index, annotations.x: value
        value
          published: 1
          rebuilt:   2
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}
