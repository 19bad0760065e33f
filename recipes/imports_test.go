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
	checked := map[string]int{}
	for at, room := range rooms {
		err := goFiles(room, func(name string, data []byte) {
			checked[room]++
			checkImports(t, name, data, rooms[:at])
		})
		if err != nil && !(room == "cmd" && os.IsNotExist(err)) {
			t.Fatal(err)
		}
	}
	if checked["recipes"] == 0 || checked["rootfs"] == 0 {
		t.Errorf("too little was checked: %v", checked)
	}
}

// goFiles reads the Go files of a room, tests included, test data aside.
func goFiles(room string, use func(name string, data []byte)) error {
	root := os.DirFS("..")
	return fs.WalkDir(root, room, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "testdata":
			return fs.SkipDir
		case e.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		use(name, data)
		return nil
	})
}

func checkImports(t *testing.T, name string, data []byte, forbidden []string) {
	t.Helper()
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
