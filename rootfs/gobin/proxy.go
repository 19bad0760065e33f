package gobin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"

	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// proxyFor returns what of the environment makes the go command take modules
// from the bundle or the store only: a module mirror in the folder dir. It is
// nothing where that command may use the network as the user set it up.
func (t *toolchain) proxyFor(ctx context.Context, dir string, m Module, o Options) ([]string, error) {
	f := o.Fetcher
	if f == nil || !f.Offline && f.Bundle == nil {
		return nil, nil
	}
	env := []string{"GOSUMDB=off", "GOPRIVATE=", "GONOPROXY=", "GOVCS=*:off"}
	files, err := moduleFiles(ctx, f, m)
	if errors.Is(err, fetch.ErrOffline) {
		// The user's module cache may have them all.
		if t.downloads != "" {
			return append(env, "GOPROXY="+t.downloads+",off"), nil
		}
		return append(env, "GOPROXY=off"), nil
	}
	if err != nil {
		return nil, err
	}
	if err := layOut(ctx, f.Store, dir, files); err != nil {
		return nil, err
	}
	return append(env, "GOPROXY=file://"+filepath.ToSlash(dir)), nil
}

// layOut links the files to where a module mirror has them. The .info files,
// which hold nothing that a build reads, are written here.
func layOut(ctx context.Context, s *fetch.Store, dir string, files []fetch.Bundled) error {
	for _, f := range files {
		at := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		object, err := s.Path(ctx, f.SHA256)
		if err != nil {
			return err
		}
		if err := os.Symlink(object, at); err != nil {
			return err
		}
		stem, ok := strings.CutSuffix(at, ".zip")
		if !ok {
			continue
		}
		version, err := module.UnescapeVersion(filepath.Base(stem))
		if err != nil {
			return err
		}
		if err := os.WriteFile(stem+".info", []byte(`{"Version":"`+version+`"}`), 0o644); err != nil {
			return err
		}
	}
	return nil
}
