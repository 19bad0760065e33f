package recipes

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// builtin holds the stacks and each recipe, its contract, its folders files and vex, its
// generated Go modules, and the locks. A pattern that matches nothing is an
// error to the compiler, and most recipes have no vex: the first pattern stands
// for */recipe.yaml and */vex. The pattern all: keeps dot-files; testdata holds
// recipes one level deeper, out of reach. Embedding leaves out symbolic links
// and folders with a go.mod, both of which validation refuses.
//
//go:embed */[rv]e[cx]* */test.yaml stacks/*.yaml all:*/files/* */go/*/*.txt *.lock
var builtin embed.FS

// Builtin is the folder of recipes that the program was built with.
func Builtin() fs.FS { return builtin }

// Open loads the recipes of a folder, or the built-in ones where dir is "".
func Open(dir string) (*Set, error) {
	if dir == "" {
		return load(Builtin(), "built-in recipes")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("recipes cannot be read: %w", err)
	}
	defer root.Close()
	set, err := load(root.FS(), filepath.ToSlash(filepath.Clean(dir)))
	var mistakes Errors
	if err != nil && !errors.As(err, &mistakes) { // which name their files
		err = fmt.Errorf("%s: %w", dir, err)
	}
	return set, err
}

// LockPath is where the lock of a distro stands: beside the recipes of a
// folder, or in the current folder for the built-in ones.
func LockPath(dir string, d Distro) string {
	if dir == "" {
		return "shudl-" + string(d) + ".lock"
	}
	return filepath.Join(dir, string(d)+".lock")
}

// OpenLock reads the lock of a distro from LockPath, for the built-in recipes
// else from the program itself. Where there is none, both results are nil.
func OpenLock(dir string, d Distro) (*Lock, error) {
	name := LockPath(dir, d)
	var file fs.File
	file, err := os.Open(name)
	if dir == "" && errors.Is(err, fs.ErrNotExist) {
		name = string(d) + ".lock"
		file, err = builtin.Open(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock cannot be read: %w", err)
	}
	defer file.Close()
	l, err := ReadLock(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: take it from version control again, or remove it and `shudl-assemble lock --distro %s` writes a new one",
			name, err, d)
	}
	if l.Distro != d {
		return nil, fmt.Errorf("%s: it is the lock of %s, not of %s", name, l.Distro, d)
	}
	return l, nil
}
