package resolve

import (
	"context"
	"fmt"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/apk"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// root is a tarball whose database lists packages that count as installed.
type root struct {
	artifact recipes.Artifact
	source   recipes.Tarball
	own      bool // of the layer that is resolved, not of one below
}

// inherited finds the root tarballs of ancestors, as they are locked.
func inherited(l *recipes.Lock, ancestors []*recipes.Image) ([]root, error) {
	var out []root
	for _, image := range ancestors {
		locked, ok := l.Image(image.Ref, image.Platform)
		if !ok {
			return nil, fmt.Errorf("its ancestor %s is not locked", image.Ref)
		}
		for _, layer := range image.Layers {
			for _, src := range layer.Tarballs {
				for _, a := range locked.In(layer.Name) {
					if src.APKRoot && a.Kind == recipes.KindTarball && a.Name == src.Name {
						out = append(out, root{artifact: a, source: src})
					}
				}
			}
		}
	}
	return out, nil
}

// roots fetches the root tarballs of a layer: they come first, since the
// packages are resolved on what they hold.
func (j *job) roots(ctx context.Context, image *recipes.Image, layer recipes.Layer) ([]root, error) {
	var out []root
	for _, src := range layer.Tarballs {
		if !src.APKRoot {
			continue
		}
		a, ok := j.known(image, layer.Name, recipes.KindTarball, src.Name, src.Version, src.License)
		if !ok || j.anew {
			var err error
			if a, err = j.tarball(ctx, j.Fetcher, image.Platform, src, layer.Name); err != nil {
				return nil, err
			}
		}
		out = append(out, root{artifact: a, source: src, own: true})
	}
	return out, nil
}

// tarball fetches an archive that a recipe names itself, and holds it to the
// recipe's sha256.
func (j *job) tarball(ctx context.Context, f *fetch.Fetcher, p recipes.Platform, src recipes.Tarball, layer string) (recipes.Artifact, error) {
	if src.Release != "" {
		a, err := apk.FindRelease(ctx, f, j.Release, p.APK(), src.Release)
		if err == nil && src.SHA256 != "" && a.SHA256 != src.SHA256 {
			err = fmt.Errorf("tarball %s: the newest release has sha256 %s, the recipe says %s", src.Name, a.SHA256, src.SHA256)
		}
		a.Layer, a.Name, a.License = layer, src.Name, src.License
		return a, err
	}
	got, err := f.Get(ctx, fetch.Request{Archive: src.Archive, Path: src.Path, URL: src.URL, SHA256: src.SHA256, MaxSize: maxTarball})
	if err != nil {
		return recipes.Artifact{}, fmt.Errorf("tarball %s: %w", src.Name, err)
	}
	return recipes.Artifact{Layer: layer, Kind: recipes.KindTarball, Name: src.Name, Version: src.Version,
		PURL: genericPURL(src.Name, src.Version, p), Size: got.Size, SHA256: got.SHA256, License: src.License,
		Archive: src.Archive, Path: src.Path, URL: src.URL}, nil
}
