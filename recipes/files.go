package recipes

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxFile bounds a file of a recipe's own; they are scripts and
// configurations, read whole.
const maxFile = 4 << 20

// folder is the folder of one recipe. What was read once is kept while the
// recipe is expanded for each distro, platform and stream.
type folder struct {
	fsys  fs.FS
	dir   string // below fsys
	trees map[string][]string
	bytes map[string][]byte
}

// files reads the key files: a folder whose tree lands at the root, or a list
// of single files.
func (r record) files(folder *folder) []File {
	v, key := r.at("files")
	v = r.resolve(v, key)
	if v == nil {
		return nil
	}
	if v.shape == scalar {
		return r.tree(folder, r.scope.text(v, key), v.pos, key)
	}
	var out []File
	for _, one := range r.scope.items(v, key) {
		inner, ok := r.listed(one, "source", "path", "owner", "mode")
		if !ok {
			continue
		}
		f := File{Source: inner.must("source"), Path: inner.imagePath("path"), Pos: inner.v.pos}
		f.UID, f.GID = inner.owner()
		if !folder.fill(inner.scope, &f, join(inner.key, "source")) {
			continue
		}
		if inner.has("mode") {
			f.Mode = parsed(inner, "mode", parseMode)
		}
		out = append(out, f)
	}
	return out
}

// tree lists the regular files below a source folder.
func (r record) tree(folder *folder, source string, pos Position, key string) []File {
	root := strings.TrimSuffix(source, "/")
	if !checkSource(r.scope, root, pos, key) {
		return nil
	}
	names, err := folder.list(root)
	if err != nil {
		r.add(pos, key, "%v", err)
		return nil
	}
	var out []File
	for _, name := range names {
		f := File{Source: name, Path: strings.TrimPrefix(name, root+"/"), Pos: pos}
		if err := CheckPath(f.Path); err != nil {
			r.add(pos, key, "%v", err)
		}
		if folder.fill(r.scope, &f, key) {
			out = append(out, f)
		}
	}
	return out
}

// checkSource holds a source to the folder files of its recipe: only that is
// built into the program.
func checkSource(s scope, source string, pos Position, key string) bool {
	if err := CheckPath(source); err != nil {
		s.add(pos, key, "%v", err)
		return false
	}
	if source != "files" && !strings.HasPrefix(source, "files/") {
		s.add(pos, key, "source %q is not below the folder files of the recipe", source)
		return false
	}
	return true
}

// fill reads the bytes of a file and gives it the mode that they ask for.
func (d *folder) fill(s scope, f *File, key string) bool {
	if f.Source == "" || !checkSource(s, f.Source, f.Pos, key) {
		return false
	}
	data, err := d.read(f.Source)
	if err != nil {
		s.add(f.Pos, key, "%v", err)
		return false
	}
	sum := sha256.Sum256(data)
	f.Content, f.SHA256, f.Mode = data, Digest(hex.EncodeToString(sum[:])), 0o644
	if strings.HasPrefix(string(data), "#!") {
		f.Mode = 0o755
	}
	return true
}

// read gives the bytes of a regular file that is reached through no symbolic
// link.
func (d *folder) read(name string) ([]byte, error) {
	if data, ok := d.bytes[name]; ok {
		return data, nil
	}
	info, err := d.stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("source %s is not a regular file", name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("source %s has %d bytes, more than %d", name, info.Size(), maxFile)
	}
	data, err := fs.ReadFile(d.fsys, path.Join(d.dir, name))
	if err != nil {
		return nil, fmt.Errorf("source %s cannot be read: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("source %s has %d bytes, more than %d", name, len(data), maxFile)
	}
	d.bytes[name] = data
	return data, nil
}

// stat looks at a source without following symbolic links, its parents
// included.
func (d *folder) stat(name string) (fs.FileInfo, error) {
	at := d.dir
	var info fs.FileInfo
	for part := range strings.SplitSeq(name, "/") {
		at = path.Join(at, part)
		var err error
		info, err = fs.Lstat(d.fsys, at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("source %s does not exist", name)
		} else if err != nil {
			return nil, fmt.Errorf("source %s cannot be read: %w", name, err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("source %s is reached through a symbolic link: copy the file instead", name)
		}
	}
	return info, nil
}

// list gives the regular files below a source folder, sorted.
func (d *folder) list(root string) ([]string, error) {
	if names, ok := d.trees[root]; ok {
		return names, nil
	}
	info, err := d.stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("source %s is not a folder", root)
	}
	var names []string
	err = fs.WalkDir(d.fsys, path.Join(d.dir, root), func(name string, e fs.DirEntry, err error) error {
		below := strings.TrimPrefix(name, d.dir+"/")
		switch {
		case err != nil:
			return fmt.Errorf("source %s cannot be read: %w", below, err)
		case e.IsDir():
			return nil
		case path.Base(name) == "go.mod":
			return fmt.Errorf("source %s: a go.mod hides its folder from the built-in recipes, name it go.mod.txt", below)
		case !e.Type().IsRegular():
			return fmt.Errorf("source %s is neither a regular file nor a folder", below)
		}
		names = append(names, below)
		return nil
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("source %s holds no file", root)
	}
	slices.Sort(names)
	d.trees[root] = names
	return names, err
}
