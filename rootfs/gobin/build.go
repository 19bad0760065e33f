package gobin

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/ko/pkg/build"

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
	if d, ok := built(s, key); ok {
		return archive.File(ctx, s, d, src.Into)
	}
	unlock, err := s.Lock(ctx, "go "+key)
	if err != nil {
		return rootfs.Entry{}, err
	}
	defer unlock()
	if d, ok := built(s, key); ok {
		return archive.File(ctx, s, d, src.Into)
	}
	d, err := compile(ctx, s, m, src, p, o)
	if err != nil {
		return rootfs.Entry{}, err
	}
	if err := s.SetRecord("gobin", key, []byte(d)); err != nil {
		return rootfs.Entry{}, err
	}
	return archive.File(ctx, s, d, src.Into)
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
	dir, err := os.MkdirTemp("", "shudl-go-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	work, mirror := filepath.Join(dir, "module"), filepath.Join(dir, "mirror")
	if err := os.Mkdir(work, 0o755); err != nil {
		return "", err
	}
	if err := m.write(work); err != nil {
		return "", err
	}
	proxy, err := proxyFor(ctx, mirror, m, o)
	if err != nil {
		return "", err
	}
	env := append(t.forced(p), proxy...)
	// This brings all modules of the build into the module cache, and says
	// clearly which one is missing.
	kind, err := t.run(ctx, work, env, "list", "-f", "{{.Name}}", src.Package)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(kind) != "main" {
		return "", fmt.Errorf("it is the package %s, not a program", strings.TrimSpace(kind))
	}
	image, err := runKo(ctx, work, env, src, p)
	if err != nil {
		return "", err
	}
	return extract(ctx, s, image, path.Base(src.Package))
}

// process guards the process's environment and log. ko loads packages with
// that environment whatever it is told, so the forced variables have to be set
// in it while ko runs, and it writes to that log what would tear progress
// bars; both are state of the whole process, and so is their lock.
var process sync.Mutex

// setenv sets variables, silences the log and returns what undoes it.
func setenv(env []string) (undo func(), err error) {
	process.Lock()
	old, out := map[string]*string{}, log.Writer()
	log.SetOutput(io.Discard)
	undo = func() {
		log.SetOutput(out)
		for name, value := range old {
			if value == nil {
				os.Unsetenv(name)
			} else {
				os.Setenv(name, *value)
			}
		}
		process.Unlock()
	}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if _, seen := old[name]; !seen {
			old[name] = nil
			if was, ok := os.LookupEnv(name); ok {
				old[name] = &was
			}
		}
		if value == "" && name == "GOROOT" {
			err = os.Unsetenv(name)
		} else {
			err = os.Setenv(name, value)
		}
		if err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}

// runKo builds the program onto an empty base.
func runKo(ctx context.Context, dir string, env []string, src recipes.GoSource, p recipes.Platform) (v1.Image, error) {
	undo, err := setenv(env)
	if err != nil {
		return nil, err
	}
	defer undo()
	base, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
		OS: "linux", Architecture: p.Go(), RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	ref, err := name.ParseReference("localhost/base")
	if err != nil {
		return nil, err
	}
	b, err := build.NewGo(ctx, dir,
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) { return ref, base, nil }),
		build.WithPlatforms(string(p)),
		build.WithTrimpath(true),
		build.WithDisabledSBOM(),
		build.WithJobs(1),
		build.WithConfig(map[string]build.Config{src.Package: {
			Env:     env,
			Flags:   build.FlagArray{"-buildvcs=false"},
			Ldflags: build.StringArray(src.LDFlags),
		}}),
	)
	if err != nil {
		return nil, fmt.Errorf("ko: %w", err)
	}
	result, err := b.Build(ctx, build.StrictScheme+src.Package)
	if err != nil {
		return nil, fmt.Errorf("ko: %w", err)
	}
	image, ok := result.(v1.Image)
	if !ok {
		return nil, fmt.Errorf("ko: it made a %T, not an image", result)
	}
	return image, nil
}

// extract streams the binary out of the last layer of ko's image into the
// store.
func extract(ctx context.Context, s *fetch.Store, image v1.Image, program string) (recipes.Digest, error) {
	layers, err := image.Layers()
	if err != nil {
		return "", err
	}
	if len(layers) == 0 {
		return "", errors.New("ko: an image without layers")
	}
	in, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		return "", err
	}
	defer in.Close()
	for tr := tar.NewReader(in); ; {
		h, err := tr.Next()
		if err != nil {
			return "", fmt.Errorf("ko: no program in its layer: %w", err)
		}
		if h.Typeflag != tar.TypeReg || path.Base(h.Name) != program {
			continue
		}
		w, err := s.Create(ctx)
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(w, tr); err != nil {
			return "", errors.Join(err, w.Abort())
		}
		d, _, err := w.Commit("")
		return d, err
	}
}
