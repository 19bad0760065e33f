package gobin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/license"
)

// maxZip and maxMod bound files of modules, in bytes, as the go command does.
const (
	maxZip = 500 << 20
	maxMod = 16 << 20
)

// Resolve pins a program: it generates the module that it is built in, where
// the recipe has none yet, downloads the zip of the program's own module and
// returns what a lock keeps, with the module whose files belong into the
// recipe's folder.
func Resolve(ctx context.Context, f *fetch.Fetcher, src recipes.GoSource, layer string) (recipes.Artifact, Module, error) {
	a, m, err := resolve(ctx, f, src)
	if err != nil {
		return recipes.Artifact{}, Module{}, fmt.Errorf("go %s@%s: %w", src.Package, src.Version, err)
	}
	a.Layer = layer
	return a, m, nil
}

func resolve(ctx context.Context, f *fetch.Fetcher, src recipes.GoSource) (recipes.Artifact, Module, error) {
	m, err := moduleOf(ctx, f.Store, src, Options{Fetcher: f})
	if err != nil {
		return recipes.Artifact{}, m, err
	}
	v, err := m.main(src.Package)
	if err != nil {
		return recipes.Artifact{}, m, err
	}
	hash, err := m.hash(v)
	if err != nil {
		return recipes.Artifact{}, m, err
	}
	if err := unreplaced(ctx, f, m, v); err != nil {
		return recipes.Artifact{}, m, err
	}
	zip, err := moduleFile(ctx, f, sum{v, false, hash})
	if err != nil {
		return recipes.Artifact{}, m, err
	}
	a := recipes.Artifact{
		Kind: recipes.KindGo, Name: src.Package, Version: src.Version, Size: zip.Size, SHA256: zip.SHA256, Checksum: hash,
		License: src.License, Archive: fetch.Go, Path: zip.Path, PURL: purl(v, src.Package),
	}
	if a.License == "" {
		a.License = licenseOf(ctx, f.Store, v, zip.SHA256)
	}
	return a, m, nil
}

// purl names the module, and the package in it where that is not its root.
func purl(v module.Version, pkg string) string {
	namespace, name := path.Split(v.Path)
	return packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(namespace, "/"), name, v.Version, nil,
		strings.TrimPrefix(strings.TrimPrefix(pkg, v.Path), "/")).ToString()
}

// unreplaced refuses a program whose own go.mod replaces or excludes modules:
// built from outside, it would not be what its authors build.
func unreplaced(ctx context.Context, f *fetch.Fetcher, m Module, v module.Version) error {
	sums, err := m.sums()
	if err != nil {
		return err
	}
	for _, s := range sums {
		if s.Version != v || !s.goMod {
			continue
		}
		got, err := moduleFile(ctx, f, s)
		if err != nil {
			return err
		}
		data, err := read(ctx, f.Store, got.SHA256)
		if err != nil {
			return err
		}
		mod, err := modfile.Parse("go.mod", data, nil)
		if err != nil {
			return err
		}
		if len(mod.Replace) > 0 || len(mod.Exclude) > 0 {
			return errors.New("its go.mod has replace or exclude directives, which count only in its own checkout")
		}
		return nil
	}
	return fmt.Errorf("go.sum.txt has no hash of the go.mod of %s", v)
}

// filePath is a module file's path below a module mirror (Go modules
// reference, "GOPROXY protocol").
func (s sum) filePath() (string, error) {
	p, err := module.EscapePath(s.Path)
	if err != nil {
		return "", err
	}
	v, err := module.EscapeVersion(s.Version.Version)
	if err != nil {
		return "", err
	}
	if s.goMod {
		return p + "/@v/" + v + ".mod", nil
	}
	return p + "/@v/" + v + ".zip", nil
}

// moduleFile brings one file into the store and holds it to its h1 hash.
func moduleFile(ctx context.Context, f *fetch.Fetcher, s sum) (fetch.Bundled, error) {
	at, err := s.filePath()
	if err != nil {
		return fetch.Bundled{}, err
	}
	key := s.hash + " " + at
	if data, ok := f.Store.Record("gofile", key); ok {
		if d, err := recipes.ParseDigest(string(data)); err == nil {
			if size, ok := f.Store.Has(d); ok {
				return fetch.Bundled{Archive: fetch.Go, Path: at, SHA256: d, Size: size}, nil
			}
		}
	}
	limit := int64(maxZip)
	if s.goMod {
		limit = maxMod
	}
	got, err := f.Get(ctx, fetch.Request{Archive: fetch.Go, Path: at, MaxSize: limit})
	if err != nil {
		return fetch.Bundled{}, err
	}
	hash, err := hashOf(ctx, f.Store, got.SHA256, s.goMod)
	if err != nil {
		return fetch.Bundled{}, fmt.Errorf("%s: %w", at, err)
	}
	if hash != s.hash {
		return fetch.Bundled{}, fmt.Errorf("%s has the hash %s, go.sum says %s", at, hash, s.hash)
	}
	b := fetch.Bundled{Archive: fetch.Go, Path: at, SHA256: got.SHA256, Size: got.Size}
	return b, f.Store.SetRecord("gofile", key, []byte(got.SHA256))
}

// hashOf computes the h1 hash of a zip or a go.mod in the store.
func hashOf(ctx context.Context, s *fetch.Store, d recipes.Digest, goMod bool) (string, error) {
	if goMod {
		return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return s.Open(ctx, d) })
	}
	file, err := s.Path(ctx, d)
	if err != nil {
		return "", err
	}
	return dirhash.HashZip(file, dirhash.Hash1)
}

// ModuleFiles brings every module file that a program's build reads into the
// store and lists them: what a bundle needs beside the locked artefacts to
// build the program without a network. Each is held to its hash in go.sum.
func ModuleFiles(ctx context.Context, f *fetch.Fetcher, src recipes.GoSource) ([]fetch.Bundled, error) {
	m, err := moduleOf(ctx, f.Store, src, Options{Fetcher: f})
	if err != nil {
		return nil, fmt.Errorf("go %s@%s: %w", src.Package, src.Version, err)
	}
	return moduleFiles(ctx, f, m)
}

func moduleFiles(ctx context.Context, f *fetch.Fetcher, m Module) ([]fetch.Bundled, error) {
	sums, err := m.sums()
	if err != nil {
		return nil, err
	}
	out := make([]fetch.Bundled, len(sums))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i, s := range sums {
		group.Go(func() (err error) {
			out[i], err = moduleFile(ctx, f, s)
			return err
		})
	}
	return out, group.Wait()
}

// licenseOf looks for a licence file at the root of a module's zip.
func licenseOf(ctx context.Context, s *fetch.Store, v module.Version, zip recipes.Digest) string {
	entries, err := archive.Zip(ctx, s, zip, archive.Limits{})
	if err != nil {
		return ""
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Path, v.Path+"@"+v.Version+"/")
		if !ok || strings.Contains(name, "/") {
			continue
		}
		if !isLicense(name) || e.Content == nil || e.Size > maxLicense {
			continue
		}
		r, err := e.Content.Open(ctx)
		if err != nil {
			return ""
		}
		text, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return ""
		}
		if id := license.FromText(text); id != "" {
			return id
		}
	}
	return ""
}

func read(ctx context.Context, s *fetch.Store, d recipes.Digest) ([]byte, error) {
	f, err := s.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxMod))
}
