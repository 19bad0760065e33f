package gobin

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/license"
)

// maxLicense bounds a licence file that is read, in bytes.
const maxLicense = 1 << 20

// licensed remembers the licences of the modules that a program is linked
// from: the program does not say them, their sources do. They are as much part
// of the result as the binary, so that an SBOM does not depend on what
// happened to be at hand.
func licensed(ctx context.Context, s *fetch.Store, binary recipes.Digest, m Module, src recipes.GoSource, p recipes.Platform, o Options) error {
	if _, ok := evidence.Licenses(s, binary); ok {
		return nil
	}
	t, err := find(ctx, o)
	if err != nil {
		return err
	}
	w, err := newWorkplace(ctx, t, m, p, o)
	if err != nil {
		return err
	}
	defer w.remove()
	licenses, err := w.licenses(ctx, src)
	if err != nil {
		return fmt.Errorf("licences of its modules: %w", err)
	}
	return evidence.KeepLicenses(s, binary, licenses)
}

// licenses reads the licence files of all modules that a program needs, by
// path@version. A module whose licence is not recognised is left out.
func (w *workplace) licenses(ctx context.Context, src recipes.GoSource) (map[string]string, error) {
	out, err := w.tools.run(ctx, w.module, w.env, "list", "-deps", "-f", "{{with .Module}}{{if .Version}}{{.Path}}@{{.Version}}\t{{.Dir}}{{end}}{{end}}", src.Package)
	if err != nil {
		return nil, err
	}
	licenses := map[string]string{}
	for line := range strings.Lines(out) {
		name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if _, done := licenses[name]; !ok || dir == "" || done {
			continue
		}
		if id, err := licenseIn(dir); err != nil {
			return nil, err
		} else if id != "" {
			licenses[name] = id
		}
	}
	return licenses, nil
}

// licenseIn recognises the licence of a module by the files in its root: by
// the one that is just called LICENSE or COPYING, else by all of them, and not
// where these differ.
func licenseIn(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var plain, others []string
	for _, e := range entries {
		if !e.Type().IsRegular() || !isLicense(e.Name()) {
			continue
		}
		id, err := licenseOfFile(filepath.Join(dir, e.Name()))
		switch {
		case err != nil:
			return "", err
		case id == "":
		case plainName.MatchString(e.Name()):
			plain = append(plain, id)
		default:
			others = append(others, id)
		}
	}
	for _, ids := range [][]string{plain, others} {
		slices.Sort(ids)
		if ids = slices.Compact(ids); len(ids) == 1 {
			return ids[0], nil
		}
	}
	return "", nil
}

// plainName is that of a module's own licence, as opposed to those of what it
// copied from elsewhere.
var plainName = recipes.NewPattern(`(?i)^(licen[cs]e|copying)(\.txt|\.md|\.rst)?$`)

func licenseOfFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLicense))
	return license.Leading(text), err
}

// isLicense tells a licence file by its name.
func isLicense(name string) bool {
	upper := strings.ToUpper(name)
	switch path.Ext(upper) {
	case ".GO", ".PY", ".SH", ".JSON":
		return false // a program about licences
	}
	return slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "UNLICENSE"}, func(p string) bool { return strings.HasPrefix(upper, p) })
}
