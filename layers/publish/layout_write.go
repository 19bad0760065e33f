package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// partialPattern names files that are being written, beside the blobs folder,
// so that a crash leaves no file there whose name is not its digest.
const partialPattern = ".partial-*"

// PutBlob links the store's file, else clones its blocks, else copies it.
// Whatever is not the store's own file is hashed before it gets its name.
func (r *layoutRepository) PutBlob(ctx context.Context, blob Blob) error {
	path, err := r.path(blob.Digest)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return layoutError("make the layout", err)
	}
	if blob.File != nil {
		file, err := blob.File(ctx)
		if err != nil {
			return fmt.Errorf("blob %s: %w", blob.Digest, err)
		}
		if done, err := r.link(file, path, blob.Descriptor); done || err != nil {
			return err
		}
		if done, err := r.clone(ctx, file, path, blob.Descriptor); done || err != nil {
			return err
		}
	}
	rc, err := blob.Open(ctx)
	if err != nil {
		return fmt.Errorf("blob %s: %w", blob.Digest, err)
	}
	defer rc.Close()
	return r.write(ctx, rc, path, blob.Descriptor)
}

// link reports false where the file system, or the kernel's protection of
// other users' files, does not allow it.
func (r *layoutRepository) link(file, path string, d ocispec.Descriptor) (bool, error) {
	info, err := os.Stat(file)
	if err != nil || info.Size() != d.Size {
		return false, nil
	}
	temp, err := r.tempName()
	if err != nil {
		return false, err
	}
	if err := os.Link(file, temp); err != nil {
		return false, nil
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return false, layoutError("name a blob", err)
	}
	// Renaming one hard link of a file over another leaves both.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, layoutError("name a blob", err)
	}
	return true, nil
}

func (r *layoutRepository) tempName() (string, error) {
	temp, err := os.CreateTemp(r.dir, partialPattern)
	if err != nil {
		return "", layoutError("write to the layout", err)
	}
	temp.Close()
	return temp.Name(), os.Remove(temp.Name())
}

// clone shares the blocks of the store's file where the file system can.
func (r *layoutRepository) clone(ctx context.Context, file, path string, d ocispec.Descriptor) (bool, error) {
	src, err := os.Open(file)
	if err != nil {
		return false, nil
	}
	defer src.Close()
	temp, err := os.CreateTemp(r.dir, partialPattern)
	if err != nil {
		return false, layoutError("write to the layout", err)
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	if err := reflink(temp, src); err != nil {
		return false, nil
	}
	if _, err := io.Copy(io.Discard, interrupt.Reader(ctx, verified(io.NopCloser(temp), d))); err != nil {
		return false, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return true, r.finish(temp, path, d)
}

// write streams a blob into a file of its digest.
func (r *layoutRepository) write(ctx context.Context, src io.Reader, path string, d ocispec.Descriptor) error {
	temp, err := os.CreateTemp(r.dir, partialPattern)
	if err != nil {
		return layoutError("write to the layout", err)
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	if _, err := io.Copy(temp, interrupt.Reader(ctx, verified(io.NopCloser(src), d))); err != nil {
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return r.finish(temp, path, d)
}

// finish gives a written file its name.
func (r *layoutRepository) finish(temp *os.File, path string, d ocispec.Descriptor) error {
	err := errors.Join(temp.Chmod(0o444), temp.Sync())
	info, statErr := temp.Stat()
	if err := errors.Join(err, statErr, os.Rename(temp.Name(), path)); err != nil {
		return layoutError("write a blob", err)
	}
	r.checked.Store(d.Digest, info)
	return nil
}

// PutManifest writes a manifest as a blob; no tag names it yet.
func (r *layoutRepository) PutManifest(ctx context.Context, m Manifest) error {
	return r.PutBlob(ctx, BytesBlob(m.MediaType, m.Raw))
}

// removePartial takes away what writers that crashed have left. A day is
// longer than any writer needs. A link to the store is as old as the store's
// file, and may be another writer's that is about to get its name.
func (r *layoutRepository) removePartial() {
	names, err := os.ReadDir(r.dir)
	if err != nil {
		return
	}
	for _, name := range names {
		if !isPartial(name.Name()) {
			continue
		}
		info, err := name.Info()
		if err == nil && info.Mode().IsRegular() && links(info) == 1 && time.Since(info.ModTime()) > 24*time.Hour {
			os.Remove(filepath.Join(r.dir, name.Name()))
		}
	}
}

// isPartial knows files that are being written by their names, which end in a
// number.
func isPartial(name string) bool {
	for _, prefix := range []string{strings.TrimSuffix(partialPattern, "*"), "." + ocispec.ImageIndexFile, "." + ocispec.ImageLayoutFile} {
		number, ok := strings.CutPrefix(name, prefix)
		if ok && number != "" && strings.Trim(number, "0123456789") == "" {
			return true
		}
	}
	return false
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
