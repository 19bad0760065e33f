package recipes

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The recipes that the program was built with are those of the folder.
func TestBuiltinEqualsDisk(t *testing.T) {
	read := func(fsys fs.FS) map[string]string {
		files := map[string]string{}
		err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				if name == "testdata" {
					return fs.SkipDir
				}
				return err
			}
			_, below, nested := strings.Cut(name, "/")
			if nested && (below == "recipe.yaml" || below == "test.yaml" || strings.HasPrefix(name, "stacks/") || strings.HasPrefix(below, "files/") ||
				strings.HasPrefix(below, "vex/") || strings.HasPrefix(below, "go/")) || strings.HasSuffix(name, ".lock") && !nested {
				data, err := fs.ReadFile(fsys, name)
				files[name] = string(data)
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	if diff := cmp.Diff(read(os.DirFS(".")), read(Builtin())); diff != "" {
		t.Errorf("(-disk +built-in):\n%s", diff)
	}
	err := fs.WalkDir(Builtin(), ".", func(name string, e fs.DirEntry, err error) error {
		if strings.HasPrefix(name, "testdata") {
			t.Errorf("%s is built in", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every recipe that is built in loads, and so does every lock.
func TestBuiltin(t *testing.T) {
	set, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Distros() {
		refs, err := set.Select(nil, true, d)
		if err != nil || len(refs) == 0 {
			t.Errorf("%s: %v, %v", d, refs, err)
		}
		if _, err := OpenLock(".", d); err != nil {
			t.Error(err)
		}
	}
}
