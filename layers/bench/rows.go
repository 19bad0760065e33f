package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// rows are all of the suite, in the order of the table. The first makes many
// small files in little time, which some file systems do slowly for minutes after
// others were deleted, as the other rows' tools do.
func rows() []row {
	return []row{
		{
			key: "alpine", work: "an Alpine image of 12 packages from the signed repository, nothing cached", goal: "≤ 0.2 × umoci's time for the tree (0.7 × apko)",
			prepare: alpineContenders,
		},
		{
			key: "tree", work: "a tree of 150 MB → gzip layer in a layout, nothing cached", goal: "≤ 0.8 × umoci, ≤ 1.25 × the limit, ≤ 64 MiB",
			prepare: treeContenders,
			limit: func(m machine, dir string) (time.Duration, error) {
				return treeLimit(m, filepath.Join(dir, "tree.tar"))
			},
		},
		{
			key: "again", work: "push --all to a layout, nothing changed", goal: "≤ 0.5 s",
			prepare: againContenders,
		},
		{
			key: "registry", work: "push --all to a registry, nothing changed", goal: "≤ 0.5 s, ≤ 2 requests an image, 0 bytes sent",
			prepare: registryContenders,
		},
		{
			key: "copy", work: "one image with large layers (" + copyImage + "), from a layout to an empty registry", goal: "–",
			prepare: copyContenders,
		},
		{
			key: "config", work: "one configuration file of postgresql changed → signed and tagged in a registry", goal: "≤ 0.8 s, only its layer sent",
			prepare: configContenders,
		},
		{
			key: "bump", work: "one package of the base changed → all Debian images signed and tagged in a registry", goal: "≤ 3 s, nothing of services' layers sent",
			prepare: bumpContenders,
		},
		{
			key: "growth", work: fmt.Sprintf("push of %d small images of one base to layouts, nothing changed", growthImages), goal: "≤ 20 ms an image",
			prepare: growthContenders,
		},
		{
			key: "layers", work: "all Debian images, store full, layer cache empty", goal: "≤ 1.5 × the limit",
			prepare: layersContenders, limit: layersLimit,
		},
		{
			key: "memory", work: "Spark and Trino together, store full, layer cache empty", goal: "≤ 200 MiB",
			prepare: memoryContenders,
		},
	}
}

func treeLimit(m machine, tree string) (time.Duration, error) {
	info, err := os.Stat(tree)
	if err != nil {
		return 0, err
	}
	return m.packing(info.Size()), nil
}

const treeRecipe = `name: base-tree
summary: A tree of files
distros: [alpine]
version: "1"
layers:
  - name: tree
    tarballs: [{name: tree, version: "1", license: MIT, supplier: Nobody, archive: maven, path: tree.tar, sha256: %s}]
`

// treeContenders are given one tar archive. Ours takes it for what it is to a
// recipe: fetched, hashed, laid out as a tree, and packed with statements about
// it; the others compress it as it is.
func treeContenders(ctx context.Context, s settings, dir string) ([]contender, error) {
	tree := filepath.Join(dir, "tree.tar")
	if err := writeTree(ctx, tree, treeSize); err != nil {
		return nil, err
	}
	ours, err := oursOnTree(ctx, s, dir, tree)
	if err != nil {
		return nil, err
	}
	list := []contender{ours}
	out := func(name string) string { return filepath.Join(dir, "out-"+name) }
	if there("umoci") {
		list = append(list, contender{
			name: "umoci raw add-layer", args: []string{"umoci", "raw", "add-layer", "--image", out("umoci") + ":x", tree}, dir: dir,
			before: func(ctx context.Context) error {
				if err := remove(out("umoci")); err != nil {
					return err
				}
				if err := do(ctx, dir, nil, "umoci", "init", "--layout", out("umoci")); err != nil {
					return err
				}
				return do(ctx, dir, nil, "umoci", "new", "--image", out("umoci")+":x")
			},
			check: func() error { return same(tree, out("umoci")) },
		})
	}
	if there("crane") {
		list = append(list, contender{
			name: "crane append", args: []string{"crane", "append", "-f", tree, "-o", out("crane"), "-t", "x:1"}, dir: dir,
			before: func(context.Context) error { return remove(out("crane")) },
		})
	}
	if there("buildah") {
		list = append(list, buildah(dir, tree, out("buildah")))
	}
	return list, nil
}

// buildah needs a storage of its own and a container to add to.
func buildah(dir, tree, out string) contender {
	store := []string{"--root", filepath.Join(dir, "buildah"), "--runroot", filepath.Join(dir, "buildah-run"), "--storage-driver", "vfs"}
	script := `set -e; b="buildah $1"; c=$($b from scratch); $b add --quiet $c "$2" / >/dev/null; $b commit --quiet --disable-compression=false $c "oci:$3:x" >/dev/null`
	return contender{
		name: "buildah from scratch, add, commit", dir: dir,
		args: []string{"sh", "-c", script, "sh", strings.Join(store, " "), tree, out},
		before: func(context.Context) error {
			for _, d := range []string{out, filepath.Join(dir, "buildah"), filepath.Join(dir, "buildah-run")} {
				if err := remove(d); err != nil {
					return err
				}
			}
			return nil
		},
		check: func() error { return same(tree, out) },
	}
}

func oursOnTree(ctx context.Context, s settings, dir, tree string) (contender, error) {
	if s.alpine == "" {
		return contender{}, fmt.Errorf("--alpine is needed for the lock of a recipe")
	}
	recipes, mirror := filepath.Join(dir, "recipes"), filepath.Join(dir, "mirror")
	sum, err := sha256Of(tree)
	if err != nil {
		return contender{}, err
	}
	if err := write(filepath.Join(recipes, "base-tree", "recipe.yaml"), fmt.Sprintf(treeRecipe, sum)); err != nil {
		return contender{}, err
	}
	if err := os.MkdirAll(mirror, 0o755); err != nil {
		return contender{}, err
	}
	if err := os.Link(tree, filepath.Join(mirror, "tree.tar")); err != nil {
		return contender{}, err
	}
	env := []string{"SHUDL_MIRROR_MAVEN=file:" + mirror, "SHUDL_MIRROR_ALPINE=file:" + s.alpine, "SHUDL_PROGRESS=quiet"}
	common := []string{"--distro", "alpine", "--recipes", recipes, "--platform", "linux/amd64"}
	if err := do(ctx, dir, env, append([]string{s.command, "lock", "--release", "v3.19", "--cache", filepath.Join(dir, "lock-cache")}, common...)...); err != nil {
		return contender{}, err
	}
	cache, out := filepath.Join(dir, "cache"), filepath.Join(dir, "out")
	return contender{
		name: "shudl-assemble build", dir: dir, env: env,
		args:   append([]string{s.command, "build", "base-tree", "--cache", cache, "--to", "oci:" + out}, common...),
		before: func(context.Context) error { return removeAll(cache, out) },
		check:  func() error { return same(tree, filepath.Join(out, "base-tree")) },
	}, nil
}

func removeAll(dirs ...string) error {
	for _, d := range dirs {
		if err := remove(d); err != nil {
			return err
		}
	}
	return nil
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func sha256Of(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
