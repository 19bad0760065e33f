package gobin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// keyVersion changes whenever the same inputs would give another binary.
const keyVersion = 1

// inputs are all that a binary depends on.
type inputs struct {
	Format   int
	Package  string
	Module   string // digest of go.mod and go.sum
	Checksum string // h1 of the program's own module
	Go       string
	Platform recipes.Platform
	LDFlags  []string
}

// Build returns the program as an entry of the image. The binary is an object
// of the store; ko and the compiler run only where the store does not have
// one of the same inputs.
func Build(ctx context.Context, s *fetch.Store, a recipes.Artifact, src recipes.GoSource, p recipes.Platform, o Options) (rootfs.Entry, error) {
	e, err := program(ctx, s, a, src, p, o)
	if err != nil {
		return rootfs.Entry{}, err
	}
	e.Mode, e.Owner = 0o755, a.PURL
	return e, nil
}

func program(ctx context.Context, s *fetch.Store, a recipes.Artifact, src recipes.GoSource, p recipes.Platform, o Options) (rootfs.Entry, error) {
	m, err := moduleOf(ctx, s, src, o)
	if err != nil {
		return rootfs.Entry{}, err
	}
	if err := m.locked(a, src); err != nil {
		return rootfs.Entry{}, err
	}
	if o.Version == "" {
		t, err := find(ctx, o)
		if err != nil {
			return rootfs.Entry{}, err
		}
		o.Version = t.env["GOVERSION"]
	}
	in, err := json.Marshal(inputs{keyVersion, src.Package, m.digest(), a.Checksum, o.Version, p, src.LDFlags})
	if err != nil {
		return rootfs.Entry{}, err
	}
	key := string(in)
	d, ok := built(s, key)
	if !ok {
		if d, err = compileOnce(ctx, s, key, m, src, p, o); err != nil {
			return rootfs.Entry{}, err
		}
	}
	if err := licensed(ctx, s, d, m, src, p, o); err != nil {
		return rootfs.Entry{}, err
	}
	return archive.File(ctx, s, d, src.Into)
}

// compileOnce compiles a program, unless another process does so now.
func compileOnce(ctx context.Context, s *fetch.Store, key string, m Module, src recipes.GoSource, p recipes.Platform, o Options) (recipes.Digest, error) {
	unlock, err := s.Lock(ctx, "go "+key)
	if err != nil {
		return "", err
	}
	defer unlock()
	if d, ok := built(s, key); ok {
		return d, nil
	}
	d, err := compile(ctx, s, m, src, p, o)
	if err != nil {
		return "", err
	}
	return d, s.SetRecord("gobin", key, []byte(d))
}

// locked holds the module to the lock's checksum.
func (m Module) locked(a recipes.Artifact, src recipes.GoSource) error {
	v, err := m.main(src.Package)
	if err != nil {
		return err
	}
	hash, err := m.hash(v)
	if err != nil {
		return err
	}
	if hash != a.Checksum {
		return fmt.Errorf("%s has the hash %s, the lock says %s", v, hash, a.Checksum)
	}
	return nil
}

// built looks for a binary that was compiled before.
func built(s *fetch.Store, key string) (recipes.Digest, bool) {
	data, ok := s.Record("gobin", key)
	if !ok {
		return "", false
	}
	d, err := recipes.ParseDigest(string(data))
	if err != nil {
		return "", false
	}
	_, ok = s.Has(d)
	return d, ok
}

// compile builds the program in a folder of its own.
func compile(ctx context.Context, s *fetch.Store, m Module, src recipes.GoSource, p recipes.Platform, o Options) (recipes.Digest, error) {
	t, err := find(ctx, o)
	if err != nil {
		return "", err
	}
	w, err := newWorkplace(ctx, t, m, p, o)
	if err != nil {
		return "", err
	}
	defer w.remove()
	// This brings all modules of the build into the module cache, and says
	// clearly which one is missing.
	kind, err := t.run(ctx, w.module, w.env, "list", "-f", "{{.Name}}", src.Package)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(kind) != "main" {
		return "", fmt.Errorf("it is the package %s, not a program", strings.TrimSpace(kind))
	}
	j := job{Dir: w.module, Env: w.env, Package: src.Package, Platform: p, LDFlags: src.LDFlags, Output: filepath.Join(w.dir, "program")}
	if len(o.Helper) > 0 {
		err = j.delegate(ctx, o.Helper)
	} else {
		err = j.run(ctx)
	}
	if err != nil {
		return "", err
	}
	return take(ctx, s, j.Output)
}

// workplace is a folder in which a program's module lies, with the environment
// of go commands there.
type workplace struct {
	tools  *toolchain
	dir    string // removed in the end
	module string
	env    []string
}

func newWorkplace(ctx context.Context, t *toolchain, m Module, p recipes.Platform, o Options) (*workplace, error) {
	dir, err := os.MkdirTemp("", "shudl-go-*")
	if err != nil {
		return nil, err
	}
	w := &workplace{tools: t, dir: dir, module: filepath.Join(dir, "module"), env: t.forced(p)}
	if err := w.fill(ctx, m, o); err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

func (w *workplace) fill(ctx context.Context, m Module, o Options) error {
	if err := os.Mkdir(w.module, 0o755); err != nil {
		return err
	}
	if err := m.write(w.module); err != nil {
		return err
	}
	proxy, err := w.tools.proxyFor(ctx, filepath.Join(w.dir, "mirror"), m, o)
	w.env = append(w.env, proxy...)
	return err
}

func (w *workplace) remove() { os.RemoveAll(w.dir) }

// take puts a file into the store.
func take(ctx context.Context, s *fetch.Store, name string) (recipes.Digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w, err := s.Create(ctx)
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(w, f); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	d, _, err := w.Commit("")
	return d, err
}
