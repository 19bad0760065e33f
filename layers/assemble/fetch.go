package assemble

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/gobin"
)

// Fetched is what Fetch brought into the store.
type Fetched struct {
	// Files are in a stable order, each once.
	Files []fetch.Bundled
	// Gone tells of each locked index that no mirror has any more. What is
	// locked builds without it; only new artefacts cannot be locked by it.
	Gone []error
}

// Fetch brings everything that a run reads into the store: locked artefacts
// and, with all, the locked indexes and the module files of Go programs too,
// which a machine without a network needs.
func Fetch(ctx context.Context, o Options, all bool) (Fetched, error) {
	var files []fetch.Bundled
	var gone []error
	for _, p := range o.Platforms {
		for _, ref := range o.Refs {
			more, err := fetchImage(ctx, o, ref, p, all)
			if err != nil {
				return Fetched{}, err
			}
			files = append(files, more...)
		}
	}
	if all {
		for _, ix := range o.Lock.Indexes {
			switch err := fetchIndex(ctx, o, ix); {
			case ctx.Err() != nil:
				return Fetched{}, err
			case err != nil:
				gone = append(gone, err)
				continue
			}
			files = append(files, fetch.Bundled{Archive: ix.Archive, Path: ix.Path, SHA256: ix.SHA256, Size: ix.Size})
		}
	}
	slices.SortFunc(files, func(a, b fetch.Bundled) int {
		return cmp.Or(cmp.Compare(a.Archive, b.Archive), cmp.Compare(a.Path, b.Path), cmp.Compare(a.SHA256, b.SHA256))
	})
	return Fetched{slices.Compact(files), gone}, nil
}

func fetchIndex(ctx context.Context, o Options, ix recipes.LockedIndex) error {
	_, err := o.Fetcher.Get(ctx, fetch.Request{Archive: ix.Archive, Path: ix.Path, SHA256: ix.SHA256, Size: ix.Size})
	return err
}

// fetchImage fetches what one image of one platform adds to its parent.
func fetchImage(ctx context.Context, o Options, ref recipes.Ref, p recipes.Platform, modules bool) ([]fetch.Bundled, error) {
	locked, ok := o.Lock.Image(ref, p)
	if !ok {
		return nil, fmt.Errorf("image %s for %s: the lock does not hold it: run `shudl-assemble lock`", ref, p)
	}
	f := o.Fetcher.For(ref.String())
	if err := f.Artifacts(ctx, locked.Artifacts); err != nil {
		return nil, err
	}
	var files []fetch.Bundled
	for _, a := range locked.Artifacts {
		place := a.Path
		if place == "" {
			place = a.URL
		}
		files = append(files, fetch.Bundled{Archive: a.Archive, Path: place, SHA256: a.SHA256, Size: a.Size})
	}
	if !modules {
		return files, nil
	}
	image, err := o.Set.Image(ref, o.Lock.Distro, p)
	if err != nil {
		return nil, err
	}
	for _, layer := range image.Layers {
		for _, src := range layer.Go {
			more, err := gobin.ModuleFiles(ctx, f, src)
			if err != nil {
				return nil, fmt.Errorf("image %s: %w", ref, err)
			}
			files = append(files, more...)
		}
	}
	return files, nil
}
