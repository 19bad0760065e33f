package recipes_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

const modulePath = "github.com/shudl/shudl-assemble"

// rooms in the order in which they may import: each only those after it.
var rooms = []string{"cmd", "layers", "rootfs", "recipes"}

// TestImportDirection holds cmd → layers → rootfs → recipes for the whole
// module, tests included.
func TestImportDirection(t *testing.T) {
	root := os.DirFS("..")
	checked := map[string]int{}
	for at, room := range rooms {
		err := fs.WalkDir(root, room, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && e.Name() == "testdata":
				return fs.SkipDir
			case e.IsDir() || path.Ext(name) != ".go":
				return nil
			}
			checked[room]++
			checkImports(t, root, name, rooms[:at])
			return nil
		})
		if err != nil && !(room == "cmd" && os.IsNotExist(err)) {
			t.Fatal(err)
		}
	}
	if checked["recipes"] == 0 || checked["rootfs"] == 0 {
		t.Errorf("too little was checked: %v", checked)
	}
}

func checkImports(t *testing.T, root fs.FS, name string, forbidden []string) {
	t.Helper()
	data, err := fs.ReadFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, spec := range file.Imports {
		below, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), modulePath+"/")
		if !ours {
			continue
		}
		for _, room := range forbidden {
			if below == room || strings.HasPrefix(below, room+"/") {
				t.Errorf("%s imports %s: rooms import one way, %s", name, below, strings.Join(rooms, " → "))
			}
		}
	}
}
