package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers"
)

// treeSize is how much of /usr/lib makes a tree, in bytes.
const treeSize = 150_000_000

// errEnough ends a walk.
var errEnough = errors.New("enough")

// writeTree writes files of this machine's /usr/lib as a tar archive, the same
// ones in every run.
func writeTree(ctx context.Context, path string, size int64) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	var total int64
	err = filepath.WalkDir("/usr/lib", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // what cannot be read is left out
		}
		info, err := d.Info()
		if err != nil || info.Size() > 20<<20 {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		h := &tar.Header{Name: path[1:], Mode: 0o644, Size: info.Size(), ModTime: time.Unix(1_700_000_000, 0)}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if total += info.Size(); total >= size {
			return errEnough
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && total == 0 {
		err = errors.New("/usr/lib has no file to make the tree of")
	}
	return errors.Join(err, w.Close(), out.Close())
}

// files are the digests of the files of a tar stream, by path.
func files(r io.Reader) (map[string]string, error) {
	found := map[string]string{}
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, archive); err != nil {
			return nil, err
		}
		found[h.Name] = hex.EncodeToString(sum.Sum(nil))
	}
}

func filesOf(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return files(f)
}

// layoutFiles are those of the layers of a layout's only image.
func layoutFiles(dir string) (map[string]string, error) {
	var index ocispec.Index
	if err := readJSON(filepath.Join(dir, "index.json"), &index); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, d := range index.Manifests {
		name := d.Annotations[ocispec.AnnotationRefName]
		if strings.HasPrefix(name, "sha256-") {
			continue // statements
		}
		var m ocispec.Manifest
		if err := readJSON(blobPath(dir, d), &m); err != nil {
			return nil, err
		}
		for _, l := range m.Layers {
			one, err := layerFiles(dir, l)
			if err != nil {
				return nil, fmt.Errorf("layer %s: %w", l.Digest, err)
			}
			maps.Copy(found, one)
		}
	}
	return found, nil
}

func blobPath(dir string, d ocispec.Descriptor) string {
	return filepath.Join(dir, "blobs", d.Digest.Algorithm().String(), d.Digest.Encoded())
}

func layerFiles(dir string, l ocispec.Descriptor) (map[string]string, error) {
	f, err := os.Open(blobPath(dir, l))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	blob := io.TeeReader(f, sum)
	z, err := layers.Decompress(blob, l.MediaType)
	if err != nil {
		return nil, err
	}
	found, err := files(z)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, blob); err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != l.Digest.Encoded() {
		return nil, fmt.Errorf("its bytes are sha256:%s", got)
	}
	return found, nil
}

func readJSON(path string, to any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}

// same holds the files of a layout to those of the tree.
func same(tree, layout string) error {
	want, err := filesOf(tree)
	if err != nil {
		return err
	}
	have, err := layoutFiles(layout)
	if err != nil {
		return err
	}
	for path, sum := range want {
		if have[path] != sum {
			return fmt.Errorf("%s is sha256 %q, not %s", path, have[path], sum)
		}
	}
	if len(have) < len(want) {
		return fmt.Errorf("%d files of %d", len(have), len(want))
	}
	return nil
}

// unpackedSize is the length of a layer's tar stream.
func unpackedSize(dir string, l ocispec.Descriptor) (int64, error) {
	f, err := os.Open(blobPath(dir, l))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := layers.Decompress(f, l.MediaType)
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, z)
}
