package apk

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// Where apk keeps its database: the second since Alpine 3.23.
const (
	dbFolder    = "lib/apk/db"
	dbFolderNew = "usr/lib/apk/db"
	worldPath   = "etc/apk/world"
)

// Database is the package database of a root: what is installed with which
// files, what was asked for, and the scripts and triggers that apk keeps.
type Database struct {
	// Folder is lib/apk/db or usr/lib/apk/db, whichever the root has.
	Folder   string
	Records  []Record
	World    []string
	Scripts  []StoredScript
	Triggers []Trigger
}

// Trigger is the list of folders that a package's trigger watches.
type Trigger struct {
	Checksum string // of the package
	Paths    []string
}

// StoredScript is a script as scripts.tar has it.
type StoredScript struct {
	// Package is name-version.Q1…, Script the rest of the member's name.
	Package string
	Script
}

// Finder gives the content of a root's file, where the root has such a file.
type Finder func(path string) (rootfs.Content, bool)

// Among finds files among the entries of an archive.
func Among(entries []rootfs.Entry) Finder {
	files := make(map[string]rootfs.Content, len(entries))
	for _, e := range entries {
		if e.Type == rootfs.Regular {
			files[e.Path] = e.Content
		}
	}
	return func(path string) (rootfs.Content, bool) { c, ok := files[path]; return c, ok }
}

// read gives the bytes of a file, none for one that the root does not have.
func (f Finder) read(ctx context.Context, path string) ([]byte, error) {
	content, ok := f(path)
	if !ok {
		return nil, nil
	}
	r, err := content.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// ReadDatabase reads the database of a root; one without has an empty one.
func ReadDatabase(ctx context.Context, root Finder) (*Database, error) {
	db := &Database{Folder: dbFolderNew}
	if _, ok := root(path.Join(db.Folder, "installed")); !ok {
		db.Folder = dbFolder
	}
	var files [4][]byte
	for i, name := range []string{path.Join(db.Folder, "installed"), worldPath, path.Join(db.Folder, "triggers"), path.Join(db.Folder, "scripts.tar")} {
		var err error
		if files[i], err = root.read(ctx, name); err != nil {
			return nil, err
		}
	}
	var err error
	if db.Records, err = ReadInstalled(bytes.NewReader(files[0])); err != nil {
		return nil, err
	}
	db.World = strings.Fields(string(files[1]))
	db.Triggers = parseTriggers(string(files[2]))
	if db.Scripts, err = parseScripts(files[3]); err != nil {
		return nil, fmt.Errorf("%s/scripts.tar: %w", db.Folder, err)
	}
	return db, nil
}

// Packages lists what is installed, in the order of the database.
func (db *Database) Packages() []*Package { return Packages(db.Records) }

// Remove forgets a package and returns the paths of its files and folders,
// folders after what lies in them.
func (db *Database) Remove(name string) []string {
	var gone []string
	db.Records = slices.DeleteFunc(db.Records, func(r Record) bool {
		if r.Name != name {
			return false
		}
		for _, f := range slices.Backward(r.Files()) {
			gone = append(gone, f.Path)
		}
		db.Triggers = slices.DeleteFunc(db.Triggers, func(t Trigger) bool { return t.Checksum == r.Checksum })
		db.Scripts = slices.DeleteFunc(db.Scripts, func(s StoredScript) bool { return s.Package == scriptOwner(r.Package) })
		return true
	})
	return gone
}

// Add records a package in place of one of the same name. Holds says whether
// the root holds an entry as the package brought it: what another package
// replaced, or the recipe dropped, is not recorded.
func (db *Database) Add(c *Contents, holds func(rootfs.Entry) bool) error {
	db.Remove(c.Package.Name)
	text, err := recordText(c, holds)
	if err != nil {
		return fmt.Errorf("package %s: %w", c.Package.ID(), err)
	}
	db.Records = append(db.Records, Record{c.Package, text})
	if len(c.Triggers) > 0 {
		db.Triggers = append(db.Triggers, Trigger{c.Package.Checksum, c.Triggers})
	}
	for _, name := range scriptNames {
		for _, s := range c.Scripts {
			if s.Name == name {
				db.Scripts = append(db.Scripts, StoredScript{scriptOwner(c.Package), s})
			}
		}
	}
	return nil
}

// Want adds names to the world, replacing what it has of the same name.
func (db *Database) Want(wishes ...string) error {
	for _, w := range wishes {
		d, err := ParseDependency(w)
		if err != nil {
			return fmt.Errorf("world: %w", err)
		}
		db.World = slices.DeleteFunc(db.World, func(old string) bool {
			o, err := ParseDependency(old)
			return err == nil && o.Name == d.Name
		})
		db.World = append(db.World, d.String())
	}
	return nil
}

// Entries writes the database as apk does: sorted by name, readable by all.
// The caller sets the owner.
func (db *Database) Entries() ([]rootfs.Entry, error) {
	slices.SortStableFunc(db.Records, func(a, b Record) int { return compareNames(a.Name, b.Name) })
	slices.SortStableFunc(db.World, compareNames)
	place := map[string]int{}
	owner := map[string]int{}
	var installed strings.Builder
	for i, r := range db.Records {
		installed.WriteString(r.Text + "\n")
		place[r.Checksum], owner[scriptOwner(r.Package)] = i, i
	}
	slices.SortStableFunc(db.Triggers, func(a, b Trigger) int { return cmp.Compare(place[a.Checksum], place[b.Checksum]) })
	slices.SortStableFunc(db.Scripts, func(a, b StoredScript) int { return cmp.Compare(owner[a.Package], owner[b.Package]) })
	var triggers strings.Builder
	for _, t := range db.Triggers {
		triggers.WriteString(t.Checksum + " " + strings.Join(t.Paths, " ") + "\n")
	}
	scripts, err := writeScripts(db.Scripts)
	if err != nil {
		return nil, err
	}
	world := strings.Join(db.World, "\n")
	if world != "" {
		world += "\n"
	}
	list := []rootfs.Entry{
		rootfs.NewFile(worldPath, 0o644, []byte(world)),
		rootfs.NewFile(path.Join(db.Folder, "installed"), 0o644, []byte(installed.String())),
		rootfs.NewFile(path.Join(db.Folder, "lock"), 0o600, nil),
		rootfs.NewFile(path.Join(db.Folder, "scripts.tar"), 0o644, scripts),
		rootfs.NewFile(path.Join(db.Folder, "triggers"), 0o644, []byte(triggers.String())),
	}
	for i := range list {
		list[i].State = true
	}
	return list, nil
}

// compareNames is apk's order: without regard to case, then with.
func compareNames(a, b string) int {
	return cmp.Or(strings.Compare(lower(a), lower(b)), strings.Compare(a, b))
}
