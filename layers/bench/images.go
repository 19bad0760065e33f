package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const alpineRecipe = `name: base-alpine
summary: Twelve packages of the release medium
distros: [alpine]
version: "3.19.1"
layers:
  - name: system
    packages: [alpine-baselayout, alpine-keys, apk-tools, busybox, libc-utils]
    accounts: [{name: app, uid: 10001, home: /home/app, shell: /bin/sh}]
    generate: [busybox-applets]
config: {user: "10001:10001", cmd: [sh]}
`

// alpineContenders make an image of the complete, signed repository of a
// release medium: from index to signed statements, the store empty.
func alpineContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	if s.alpine == "" {
		return nil, nil
	}
	recipes, mirror := filepath.Join(dir, "recipes"), filepath.Join(dir, "mirror")
	if err := write(filepath.Join(recipes, "base-alpine", "recipe.yaml"), alpineRecipe); err != nil {
		return nil, err
	}
	// The branch that is taken where none is named.
	for _, repository := range []string{"main", "community"} {
		if err := os.MkdirAll(filepath.Join(mirror, "v3.24", repository), 0o755); err != nil {
			return nil, err
		}
		if err := os.Symlink(filepath.Join(s.alpine, "iso-3.19.1", "x86_64"), filepath.Join(mirror, "v3.24", repository, "x86_64")); err != nil {
			return nil, err
		}
	}
	cache, out := filepath.Join(dir, "cache"), filepath.Join(dir, "out")
	lock := filepath.Join(recipes, "alpine.lock")
	return []contender{{
		name: "shudl-assemble build, resolving too", dir: dir,
		env: []string{"SHUDL_MIRROR_ALPINE=file:" + mirror, "SHUDL_KEYRING=" + filepath.Join(s.alpine, "keys"), "SHUDL_PROGRESS=quiet"},
		args: []string{s.command, "build", "base-alpine", "--distro", "alpine", "--recipes", recipes,
			"--platform", "linux/amd64", "--cache", cache, "--to", "oci:" + out},
		before: func(context.Context) error { return removeAll(cache, out, lock) },
		check: func() error {
			found, err := layoutFiles(filepath.Join(out, "base-alpine"))
			if err == nil && found["bin/busybox"] == "" {
				err = fmt.Errorf("no bin/busybox among %d files", len(found))
			}
			return err
		},
	}}, nil
}

// copied gives copies of the images and of the store, as hard links: what is
// in them is replaced and never changed.
func copied(ctx context.Context, s settings, dir string) (images, store string, err error) {
	images, store = filepath.Join(dir, "images"), filepath.Join(dir, "store")
	if err := removeAll(images, store); err != nil {
		return "", "", err
	}
	for from, to := range map[string]string{s.images: images, s.store: store} {
		if err := do(ctx, dir, nil, "cp", "-al", from, to); err != nil {
			return "", "", err
		}
	}
	return images, store, removeAll(filepath.Join(store, "locks"), filepath.Join(store, "partial"))
}

// made are the kinds of records that a build leaves in the store: without them
// it has downloads and unpacked archives, and no layer.
func made(store string) []string {
	var dirs []string
	for _, kind := range []string{"layer", "member", "image", "sbom", "sbom-layer", "said", "served", "receipt"} {
		dirs = append(dirs, filepath.Join(store, "records", kind))
	}
	return dirs
}

// push is one push of the Debian images with a store and destination of the
// row's own.
func push(s settings, dir string, more ...string) contender {
	return contender{
		name: "shudl-assemble push", dir: dir, env: []string{"SHUDL_PROGRESS=quiet", "XDG_CONFIG_HOME=" + filepath.Join(dir, "config")},
		args: append([]string{s.command, "push", "--distro", "debian", "--locked", "--recipes", s.recipes, "--cache", filepath.Join(dir, "store")}, more...),
	}
}

func againContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	if s.images == "" || s.store == "" {
		return nil, nil
	}
	if _, _, err := copied(ctx, s, dir); err != nil {
		return nil, err
	}
	c := push(s, dir, "--all", "--to", "oci:"+filepath.Join(dir, "images"))
	// The first one signs with a key of its own.
	if err := do(ctx, dir, c.env, c.args...); err != nil {
		return nil, err
	}
	before, err := listing(filepath.Join(dir, "images"))
	if err != nil {
		return nil, err
	}
	c.check = func() error {
		after, err := listing(filepath.Join(dir, "images"))
		if err == nil && after != before {
			err = fmt.Errorf("a push that changes nothing has written")
		}
		return err
	}
	return []contender{c}, nil
}

// listing is every file of a folder with its size and time.
func listing(dir string) (string, error) {
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&text, path, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	return text.String(), err
}

func layersContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	return cold(ctx, s, dir, "--all")
}

func memoryContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	return cold(ctx, s, dir, "spark", "trino")
}

// cold pushes images whose artefacts are there and whose layers are not.
func cold(_ context.Context, s settings, dir string, images ...string) ([]contender, error) {
	if s.images == "" || s.store == "" {
		return nil, nil
	}
	out := filepath.Join(dir, "out")
	c := push(s, dir, append(images, "--to", "oci:"+out)...)
	c.before = func(ctx context.Context) error {
		if err := removeAll(out); err != nil {
			return err
		}
		_, store, err := copied(ctx, s, dir)
		if err != nil {
			return err
		}
		return removeAll(made(store)...)
	}
	c.check = func() error { return sameImages(s.images, out) }
	return []contender{c}, nil
}

// sameImages holds every image manifest of a layout folder to the one that the
// other has under the same tag: statements aside, which another key signed.
func sameImages(want, have string) error {
	// Locks lie beside the images.
	images, err := filepath.Glob(filepath.Join(have, "*", "index.json"))
	if err != nil {
		return err
	}
	for _, image := range images {
		name := filepath.Base(filepath.Dir(image))
		a, err := manifests(filepath.Join(want, name))
		if err != nil {
			return err
		}
		b, err := manifests(filepath.Join(have, name))
		if err != nil {
			return err
		}
		for tag, digest := range b {
			if a[tag] != digest {
				return fmt.Errorf("%s:%s is %s, not %s", name, tag, digest, a[tag])
			}
		}
	}
	if len(images) == 0 {
		return fmt.Errorf("no images in %s", have)
	}
	return nil
}

// manifests are what the tags of a layout name.
func manifests(layout string) (map[string]string, error) {
	var index ocispec.Index
	if err := readJSON(filepath.Join(layout, "index.json"), &index); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, d := range index.Manifests {
		if name := d.Annotations[ocispec.AnnotationRefName]; name != "" && name[:min(7, len(name))] != "sha256-" {
			tags[name] = d.Digest.String()
		}
	}
	return tags, nil
}

// layersLimit takes every layer of the images once.
func layersLimit(m machine, dir string) (time.Duration, error) {
	var bytes int64
	seen := map[string]bool{}
	indexes, err := filepath.Glob(filepath.Join(dir, "out", "*", "index.json"))
	if err != nil {
		return 0, err
	}
	for _, file := range indexes {
		layout := filepath.Dir(file)
		var index ocispec.Index
		if err := readJSON(file, &index); err != nil {
			return 0, err
		}
		for _, d := range index.Manifests {
			var manifest ocispec.Manifest
			if err := readJSON(blobPath(layout, d), &manifest); err != nil {
				return 0, err
			}
			for _, l := range manifest.Layers {
				if seen[l.Digest.String()] || l.MediaType != ocispec.MediaTypeImageLayerGzip {
					continue
				}
				seen[l.Digest.String()] = true
				size, err := unpackedSize(layout, l)
				if err != nil {
					return 0, err
				}
				bytes += size
			}
		}
	}
	return m.packing(bytes), nil
}
