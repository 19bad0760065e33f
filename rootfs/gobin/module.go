package gobin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Module is the generated module that a program is built in: its go.mod
// requires exactly what the program's own module asks for, and its go.sum
// has the hash of every file.
type Module struct {
	GoMod []byte `json:"mod"`
	GoSum []byte `json:"sum"`
}

// Files are the two files under the names that a recipe's folder has them:
// go/<program>/go.mod.txt, since a go.mod would hide the folder from
// embedding.
func (m Module) Files(src recipes.GoSource) map[string][]byte {
	dir := "go/" + src.Package[strings.LastIndexByte(src.Package, '/')+1:] + "/"
	return map[string][]byte{dir + "go.mod.txt": m.GoMod, dir + "go.sum.txt": m.GoSum}
}

// digest identifies the module's content.
func (m Module) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n%s%s", len(m.GoMod), len(m.GoSum), m.GoMod, m.GoSum)
	return hex.EncodeToString(h.Sum(nil))
}

// main returns path and version of the module that the package is in.
func (m Module) main(pkg string) (module.Version, error) {
	f, err := modfile.Parse("go.mod.txt", m.GoMod, nil)
	if err != nil {
		return module.Version{}, fmt.Errorf("go.mod.txt: %w", err)
	}
	best := module.Version{}
	for _, r := range f.Require {
		if (pkg == r.Mod.Path || strings.HasPrefix(pkg, r.Mod.Path+"/")) && len(r.Mod.Path) > len(best.Path) {
			best = r.Mod
		}
	}
	if best.Path == "" {
		return best, fmt.Errorf("go.mod.txt requires no module that has package %s", pkg)
	}
	if len(f.Replace) > 0 {
		return best, fmt.Errorf("go.mod.txt replaces modules, which its go.sum does not cover")
	}
	return best, nil
}

// sum is a line of go.sum: the hash of a module's zip, or of its go.mod.
type sum struct {
	module.Version
	goMod bool
	hash  string // h1:…
}

// sums reads the go.sum.
func (m Module) sums() ([]sum, error) {
	var out []sum
	lines := bufio.NewScanner(bytes.NewReader(m.GoSum))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 || !strings.HasPrefix(f[2], "h1:") {
			return nil, fmt.Errorf("go.sum.txt: line %q", lines.Text())
		}
		version, goMod := strings.CutSuffix(f[1], "/go.mod")
		out = append(out, sum{module.Version{Path: f[0], Version: version}, goMod, f[2]})
	}
	return out, lines.Err()
}

// hash returns the h1 hash of a module's zip.
func (m Module) hash(v module.Version) (string, error) {
	sums, err := m.sums()
	if err != nil {
		return "", err
	}
	for _, s := range sums {
		if s.Version == v && !s.goMod {
			return s.hash, nil
		}
	}
	return "", fmt.Errorf("go.sum.txt has no hash of %s", v)
}

// moduleOf returns the module of a source: the recipe's where that is of the
// version that the recipe names, the one that was generated before, or with a
// toolchain a new one. Generating takes no
// decision: the versions follow from the program's own go.mod by minimal
// version selection, and the checksum database answers for the hashes.
func moduleOf(ctx context.Context, s *fetch.Store, src recipes.GoSource, o Options) (Module, error) {
	if src.GoMod != "" && src.GoSum != "" {
		m := Module{GoMod: []byte(src.GoMod), GoSum: []byte(src.GoSum)}
		err := m.fits(src)
		var stale *staleError
		if err == nil || !errors.As(err, &stale) {
			return m, err
		}
	}
	key := src.Package + "@" + src.Version + " " + src.Module
	if data, ok := s.Record("gomod", key); ok {
		var m Module
		if json.Unmarshal(data, &m) == nil && m.fits(src) == nil {
			return m, nil
		}
	}
	t, err := find(ctx, o)
	if err != nil {
		return Module{}, err
	}
	m, err := generate(ctx, t, src)
	if err != nil {
		return Module{}, err
	}
	data, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	return m, s.SetRecord("gomod", key, data)
}

// staleError says that a module is that of another version.
type staleError struct {
	src  recipes.GoSource
	have module.Version
}

func (e *staleError) Error() string {
	return fmt.Sprintf("the recipe names %s@%s, its go.mod.txt %s: run `shudl-assemble lock` to write it anew", e.src.Package, e.src.Version, e.have)
}

// fits holds a module to the version that the recipe names.
func (m Module) fits(src recipes.GoSource) error {
	v, err := m.main(src.Package)
	if err != nil {
		return err
	}
	if v.Version != src.Version || src.Module != "" && v.Path != src.Module {
		return &staleError{src, v}
	}
	return nil
}

// generate makes the module with the go command.
func generate(ctx context.Context, t *toolchain, src recipes.GoSource) (Module, error) {
	dir, err := os.MkdirTemp("", "shudl-go-*")
	if err != nil {
		return Module{}, err
	}
	defer os.RemoveAll(dir)
	env := t.forced(recipes.LinuxAMD64)
	name := src.Package[strings.LastIndexByte(src.Package, '/')+1:]
	if _, err := t.run(ctx, dir, env, "mod", "init", "shudl.local/"+name); err != nil {
		return Module{}, err
	}
	if src.Module != "" {
		if _, err := t.run(ctx, dir, env, "get", src.Module+"@"+src.Version); err != nil {
			return Module{}, err
		}
	}
	if _, err := t.run(ctx, dir, env, "get", "-tool", src.Package+"@"+src.Version); err != nil {
		return Module{}, err
	}
	var m Module
	if m.GoMod, err = os.ReadFile(filepath.Join(dir, "go.mod")); err != nil {
		return m, err
	}
	if m.GoSum, err = os.ReadFile(filepath.Join(dir, "go.sum")); err != nil {
		return m, err
	}
	return m, m.fits(src)
}

// write puts the module's files into a folder under their real names.
func (m Module) write(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), m.GoMod, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "go.sum"), m.GoSum, 0o644)
}
