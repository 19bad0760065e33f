package recipes

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew")

func good(t testing.TB) *Set {
	t.Helper()
	set, err := Open("testdata/good")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// The golden files hold every image of testdata/good as it is expanded, and
// its digest: a change here changes every build id.
func TestExpandedImages(t *testing.T) {
	set := good(t)
	for _, d := range Distros() {
		var out bytes.Buffer
		for _, p := range Platforms() {
			images, err := set.Images(d, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, image := range images {
				e := json.NewEncoder(&out)
				e.SetIndent("", " ")
				e.SetEscapeHTML(false)
				if err := e.Encode(struct {
					Digest, Sources Digest
					*Image
				}{image.Digest, image.Sources(), image}); err != nil {
					t.Fatal(err)
				}
			}
		}
		golden(t, "good-"+string(d)+".json", out.Bytes())
	}
}

func TestOrderAndStreams(t *testing.T) {
	set := good(t)
	tests := []struct {
		args []string
		all  bool
		d    Distro
		want string
	}{
		{nil, true, Debian, "base-debian base-postgresql:17 base-postgresql:18 postgresql tools"},
		{nil, true, Alpine, "base-alpine base-postgresql:16 postgresql tools"},
		{[]string{"postgresql"}, false, Debian, "base-debian base-postgresql:18 postgresql"},
		{[]string{"postgresql"}, false, Alpine, "base-alpine base-postgresql:16 postgresql"},
		{[]string{"base-postgresql"}, false, Debian, "base-debian base-postgresql:17 base-postgresql:18"},
		{[]string{"base-postgresql:17"}, false, Debian, "base-debian base-postgresql:17"},
		{[]string{"base"}, false, Debian, "base-debian"},
		{[]string{"tools", "base"}, false, Alpine, "base-alpine tools"},
	}
	for _, test := range tests {
		refs, err := set.Select(test.args, test.all, test.d)
		if err != nil {
			t.Errorf("%v on %s: %v", test.args, test.d, err)
			continue
		}
		var got []string
		for _, ref := range refs {
			got = append(got, ref.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%v on %s: got %v, want %s", test.args, test.d, got, test.want)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	set := good(t)
	for args, want := range map[string]string{
		"trino":              "there is no image \"trino\"",
		"base-alpine":        "is not made for debian",
		"base-postgresql:16": "has no stream \"16\" for debian: there are 17, 18",
		"tools:1":            "has no streams",
		"../x":               "bad image name",
		"":                   "bad image name",
	} {
		_, err := set.Select([]string{args}, false, Debian)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
	if _, err := set.Select(nil, false, Debian); err == nil {
		t.Error("neither an image nor all was accepted")
	}
	if _, err := set.Select([]string{"tools"}, true, Debian); err == nil {
		t.Error("an image and all were accepted together")
	}
}

func TestInheritance(t *testing.T) {
	image, err := good(t).Image(Ref{Name: "postgresql"}, Debian, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	c := image.Config
	want := Config{
		User:       "postgres",
		Entrypoint: []string{"docker-entrypoint.sh"},
		Env: []Variable{{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "en_US.UTF-8"},
			{"PGDATA", "/var/lib/postgresql/data"}, {"GREETING", "costs ${MONEY}"}},
		Ports:      []string{"5432/tcp"},
		StopSignal: "SIGINT",
		Labels:     map[string]string{"shudl.base": "yes"},
	}
	c.Healthcheck = nil
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

// A digest covers the bytes of the files and what is inherited, and nothing
// of where the recipe stands.
func TestDigestCovers(t *testing.T) {
	digest := func(change func(dir string)) Digest {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/good")); err != nil {
			t.Fatal(err)
		}
		change(dir)
		set, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		image, err := set.Image(Ref{Name: "postgresql"}, Debian, LinuxARM64)
		if err != nil {
			t.Fatal(err)
		}
		return image.Digest
	}
	edit := func(name, old, now string) func(string) {
		return func(dir string) {
			file := filepath.Join(dir, name)
			data, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(data), old) {
				t.Fatalf("%s does not hold %q: %v", name, old, err)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(data), old, now, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	same := digest(func(string) {})
	if got := digest(edit("postgresql/recipe.yaml", "name: ", "# a comment\nname: ")); got != same {
		t.Error("a comment changed the digest")
	}
	for name, change := range map[string]func(string){
		"file bytes":    edit("postgresql/files/note", "note", "other"),
		"inherited env": edit("base-debian/recipe.yaml", "/usr/local/bin:", ""),
		"own config":    edit("postgresql/recipe.yaml", "5432/tcp", "5433/tcp"),
		"parent":        edit("postgresql/recipe.yaml", "from: base-postgresql", "from: {alpine: base-postgresql, debian: \"base-postgresql:17\"}"),
	} {
		if digest(change) == same {
			t.Errorf("%s did not change the digest", name)
		}
	}
}
