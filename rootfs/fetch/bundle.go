package fetch

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// A bundle is one OCI image layout, as a tar file or as a folder, whose only
// manifest lists every file as a layer, with its archive and path as
// annotations.
const (
	bundleType  = "application/vnd.shudl.bundle.v1"
	fileType    = "application/octet-stream"
	keyArchive  = "io.shudl.archive"
	keyPath     = "io.shudl.path"
	maxManifest = 64 << 20 // bytes of JSON in a bundle
)

// Bundled is one file of a bundle: where it comes from, and what it is.
type Bundled struct {
	Archive string // empty with a Path that is an address
	Path    string
	SHA256  recipes.Digest
	Size    int64
}

// Bundle reads files from a bundle. Nothing in it is trusted: what goes into
// the store has been hashed.
type Bundle struct {
	name  string
	file  *os.File // nil for a folder
	blobs map[recipes.Digest]section
	paths map[[2]string]recipes.Digest
}

type section struct{ offset, size int64 }

// WriteBundle writes objects of the store as a bundle: a tar of an OCI image
// layout. Equal files give equal bytes.
func WriteBundle(ctx context.Context, w io.Writer, s *Store, files []Bundled) error {
	manifest := v1.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    v1.MediaTypeImageManifest,
		ArtifactType: bundleType,
		Config:       v1.DescriptorEmptyJSON,
	}
	for _, f := range files {
		if !valid(f.SHA256) {
			return fmt.Errorf("bundle: %s: %q is no sha256", f.Path, f.SHA256)
		}
		manifest.Layers = append(manifest.Layers, v1.Descriptor{
			MediaType:   fileType,
			Digest:      digest.NewDigestFromEncoded(digest.SHA256, string(f.SHA256)),
			Size:        f.Size,
			Annotations: map[string]string{keyArchive: f.Archive, keyPath: f.Path, v1.AnnotationTitle: CleanURL(f.Path)},
		})
	}
	b := bundleWriter{tar: tar.NewWriter(w), done: map[digest.Digest]bool{}}
	if err := b.head(manifest); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	for _, f := range files {
		if err := b.object(ctx, s, f); err != nil {
			return fmt.Errorf("bundle: %s: %w", f.Path, err)
		}
	}
	if err := b.tar.Close(); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

type bundleWriter struct {
	tar  *tar.Writer
	done map[digest.Digest]bool
}

// head writes all that is small: the layout's files, manifest and config.
func (b *bundleWriter) head(m v1.Manifest) error {
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	d := v1.Descriptor{MediaType: m.MediaType, ArtifactType: bundleType, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
	index, err := json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{d},
	})
	if err != nil {
		return err
	}
	layout, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{v1.ImageLayoutFile, layout}, {v1.ImageIndexFile, index},
		{blobName(d.Digest), manifest}, {blobName(m.Config.Digest), m.Config.Data},
	} {
		if err := b.member(f.name, int64(len(f.content)), strings.NewReader(string(f.content))); err != nil {
			return err
		}
	}
	b.done[m.Config.Digest] = true
	return nil
}

func (b *bundleWriter) object(ctx context.Context, s *Store, f Bundled) error {
	d := digest.NewDigestFromEncoded(digest.SHA256, string(f.SHA256))
	if b.done[d] {
		return nil
	}
	b.done[d] = true
	object, err := s.Open(ctx, f.SHA256)
	if err != nil {
		return err
	}
	defer object.Close()
	return b.member(blobName(d), f.Size, interrupt.Reader(ctx, object))
}

func (b *bundleWriter) member(name string, size int64, r io.Reader) error {
	err := b.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size})
	if err != nil {
		return err
	}
	_, err = io.Copy(b.tar, r)
	return err
}

func blobName(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

// OpenBundle opens a bundle: the file that WriteBundle wrote, or a folder
// that holds the same layout.
func OpenBundle(path string) (*Bundle, error) {
	b := &Bundle{name: path, blobs: map[recipes.Digest]section{}, paths: map[[2]string]recipes.Digest{}}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var index []byte
	if info.IsDir() {
		index, err = b.scanFolder()
	} else {
		index, err = b.scanFile()
	}
	if err == nil {
		err = b.readManifest(index)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("bundle %s: %w: it must be an OCI image layout that `fetch --bundle` wrote", path, err)
	}
	return b, nil
}

// scanFile notes where each blob lies in the tar file.
func (b *Bundle) scanFile() (index []byte, err error) {
	if b.file, err = os.Open(b.name); err != nil {
		return nil, err
	}
	r := tar.NewReader(b.file)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return index, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Name == v1.ImageIndexFile {
			if index, err = io.ReadAll(io.LimitReader(r, maxManifest)); err != nil {
				return nil, err
			}
		}
		offset, err := b.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if d := recipes.Digest(strings.TrimPrefix(h.Name, "blobs/sha256/")); h.Typeflag == tar.TypeReg && valid(d) {
			b.blobs[d] = section{offset, h.Size}
		}
	}
}

func (b *Bundle) scanFolder() ([]byte, error) {
	entries, err := os.ReadDir(filepath.Join(b.name, "blobs", "sha256"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if d := recipes.Digest(e.Name()); info.Mode().IsRegular() && valid(d) {
			b.blobs[d] = section{0, info.Size()}
		}
	}
	return os.ReadFile(filepath.Join(b.name, v1.ImageIndexFile))
}

func (b *Bundle) readManifest(content []byte) error {
	var index v1.Index
	if err := json.Unmarshal(content, &index); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].ArtifactType != bundleType {
		return errors.New("index.json names no bundle")
	}
	if err := index.Manifests[0].Digest.Validate(); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	r, err := b.open(recipes.Digest(index.Manifests[0].Digest.Encoded()))
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return err
	}
	if digest.FromBytes(text) != index.Manifests[0].Digest {
		return errors.New("its manifest is not what index.json says")
	}
	var m v1.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	for _, l := range m.Layers {
		if l.Digest.Validate() != nil {
			return fmt.Errorf("manifest: %q is no digest", l.Digest)
		}
		if d := recipes.Digest(l.Digest.Encoded()); valid(d) {
			b.paths[[2]string{l.Annotations[keyArchive], l.Annotations[keyPath]}] = d
		}
	}
	return nil
}

// Has says whether the bundle has a file of that sha256.
func (b *Bundle) Has(d recipes.Digest) bool { _, ok := b.blobs[d]; return ok }

// Lookup gives the sha256 of the file that was fetched from that place; empty
// where there is none.
func (b *Bundle) Lookup(archive, path string) recipes.Digest {
	return b.paths[[2]string{archive, path}]
}

// Close closes the bundle's file.
func (b *Bundle) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

func (b *Bundle) open(d recipes.Digest) (io.ReadCloser, error) {
	at, ok := b.blobs[d]
	if !ok {
		return nil, fmt.Errorf("sha256 %s: %w", d, fs.ErrNotExist)
	}
	if b.file == nil {
		return os.Open(filepath.Join(b.name, "blobs", "sha256", string(d)))
	}
	return io.NopCloser(io.NewSectionReader(b.file, at.offset, at.size)), nil
}

// into copies one file into the store.
func (b *Bundle) into(ctx context.Context, s *Store, d recipes.Digest) error {
	r, err := b.open(d)
	if err != nil {
		return fmt.Errorf("bundle %s: %w", b.name, err)
	}
	defer r.Close()
	w, err := s.Create(ctx)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("bundle %s: sha256 %s: %w", b.name, d, err)
	}
	if _, _, err := w.Commit(d); err != nil {
		return fmt.Errorf("bundle %s: %w", b.name, err)
	}
	return nil
}
