package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// Layout is a folder that holds an OCI image layout for each image:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md.
type Layout struct{ dir string }

// NewLayout names a folder; it is made when something is written.
func NewLayout(dir string) *Layout { return &Layout{dir: filepath.Clean(dir)} }

// Dir is the folder.
func (l *Layout) Dir() string { return l.dir }

func (l *Layout) String() string { return LayoutPrefix + l.dir }

// Local is true: a folder is on this machine.
func (l *Layout) Local() bool { return true }

// Check makes the folder and tries to write in it. It leaves no folder behind
// that was not there: what comes between may fail.
func (l *Layout) Check(_ context.Context, images []string) error {
	for _, image := range images {
		if err := checkImageName(image); err != nil {
			return err
		}
	}
	_, missing := os.Stat(l.dir)
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return layoutError("make the folder", err)
	}
	if missing != nil {
		// Another run may have put an image there: then it stays.
		defer os.Remove(l.dir)
	}
	probe, err := os.CreateTemp(l.dir, partialPattern)
	if err != nil {
		return layoutError("write to the folder", err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

func layoutError(doing string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return denied{fmt.Errorf("%s: %w", doing, err)}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// denied is ErrPermission where the system's own words say it already.
type denied struct{ error }

func (d denied) Is(target error) bool { return target == ErrPermission }
func (d denied) Unwrap() error        { return d.error }

// Repository is the layout of one image.
func (l *Layout) Repository(image string) (Repository, error) {
	if err := checkImageName(image); err != nil {
		return nil, err
	}
	return &layoutRepository{layout: l, image: image, dir: filepath.Join(l.dir, image)}, nil
}

type layoutRepository struct {
	layout *Layout
	image  string
	dir    string
	// checked holds the files whose bytes this process has hashed, by digest.
	checked sync.Map
}

func (r *layoutRepository) Name() string { return r.image }

func (r *layoutRepository) Reference(identifier string) string {
	separator := ":"
	if digest.Digest(identifier).Validate() == nil {
		separator = "@"
	}
	return r.layout.String() + "/" + r.image + separator + identifier
}

func (r *layoutRepository) path(d digest.Digest) (string, error) {
	hex, err := Hex(d)
	if err != nil {
		return "", err
	}
	return filepath.Join(r.dir, ocispec.ImageBlobsDir, "sha256", string(hex)), nil
}

func (r *layoutRepository) Resolve(_ context.Context, tag string) (ocispec.Descriptor, error) {
	index, _, err := r.readIndex()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if d, ok := tagged(index)[tag]; ok {
		d.Annotations = nil
		return d, nil
	}
	return ocispec.Descriptor{}, fmt.Errorf("%w: %s%s", ErrNoTag, r.Reference(tag), tagsIn(index))
}

// tagsIn lists the tags of images, for whoever asked for one that is not
// there; it is empty where there is none.
func tagsIn(index ocispec.Index) string {
	var tags []string
	for tag := range tagged(index) {
		if !strings.HasPrefix(tag, "sha256-") {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		return ""
	}
	slices.Sort(tags)
	return ": there are " + strings.Join(tags, ", ")
}

// maxManifest is the largest manifest that is read, in bytes.
const maxManifest = 16 << 20

func (r *layoutRepository) Manifest(_ context.Context, d digest.Digest) (Manifest, error) {
	path, err := r.path(d)
	if err != nil {
		return Manifest{}, err
	}
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%w: %s", ErrNotFound, r.Reference(d.String()))
	}
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return Manifest{}, err
	}
	if digest.FromBytes(raw) != d {
		return Manifest{}, fmt.Errorf("%w: %s", ErrCorrupt, path)
	}
	mediaType, err := manifestType(raw)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", path, err)
	}
	return Manifest{MediaType: mediaType, Raw: raw}, nil
}

// manifestType reads the media type that a manifest says of itself. One that
// can be read as both an index and an image is refused.
func manifestType(raw []byte) (string, error) {
	var m struct {
		MediaType string          `json:"mediaType"`
		Layers    json.RawMessage `json:"layers"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", fmt.Errorf("%w: manifest: %w", ErrUnreadable, err)
	}
	if m.Layers != nil && m.Manifests != nil {
		return "", fmt.Errorf("%w: manifest: both layers and manifests", ErrUnreadable)
	}
	switch m.MediaType {
	case ocispec.MediaTypeImageIndex:
		if m.Manifests != nil {
			return m.MediaType, nil
		}
	case ocispec.MediaTypeImageManifest:
		if m.Layers != nil {
			return m.MediaType, nil
		}
	}
	return "", fmt.Errorf("%w: manifest: media type %q: want an OCI manifest or index", ErrUnreadable, m.MediaType)
}

func (r *layoutRepository) Blob(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	path, err := r.path(d.Digest)
	if err != nil {
		return nil, err
	}
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, r.Reference(d.Digest.String()))
	}
	if err != nil {
		return nil, err
	}
	return verified(f, d), nil
}

// openRegular opens a file that is no link, pipe or device: a layout may come
// from somebody else.
func openRegular(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file", ErrCorrupt, path)
	}
	return os.Open(path)
}

// File is the file of a blob: absolute, regular, and not hashed.
func (r *layoutRepository) File(d digest.Digest) (string, error) {
	path, err := r.path(d)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %s", ErrNotFound, r.Reference(d.String()))
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%w: %s is no regular file", ErrCorrupt, path)
	}
	return filepath.Abs(path)
}

// Has goes by the size; ReadBack hashes.
func (r *layoutRepository) Has(_ context.Context, d ocispec.Descriptor) (bool, error) {
	path, err := r.path(d.Digest)
	if err != nil {
		return false, err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return info.Mode().IsRegular() && info.Size() == d.Size, nil
}

// ReadBack hashes every file that this process has not hashed, and writes
// one anew whose bytes are wrong, and oci-layout where it is missing.
func (r *layoutRepository) ReadBack(ctx context.Context, manifests []Manifest, blobs []Blob) error {
	if err := r.writeLayoutFile(); err != nil {
		return fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	for _, m := range manifests {
		if _, err := r.Manifest(ctx, m.Digest()); err != nil {
			return fmt.Errorf("%w: %w", ErrReadBack, err)
		}
	}
	for _, blob := range blobs {
		err := r.rehash(ctx, blob)
		if err == nil {
			continue
		}
		if err := r.PutBlob(ctx, blob); err != nil {
			return fmt.Errorf("%w: %w", ErrReadBack, err)
		}
		if err := r.rehash(ctx, blob); err != nil {
			return fmt.Errorf("%w: %w", ErrReadBack, err)
		}
	}
	return nil
}

func (r *layoutRepository) rehash(ctx context.Context, blob Blob) error {
	path, err := r.path(blob.Digest)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if old, ok := r.checked.Load(blob.Digest); ok && unchanged(old.(fs.FileInfo), info) {
		return nil
	}
	if r.isStoreFile(ctx, blob, info) {
		return nil
	}
	rc, err := r.Blob(ctx, blob.Descriptor)
	if err != nil {
		return err
	}
	defer rc.Close()
	if _, err := io.Copy(io.Discard, interrupt.Reader(ctx, rc)); err != nil {
		return err
	}
	r.checked.Store(blob.Digest, info)
	return nil
}

// isStoreFile says whether a file is a hard link to one that the store has
// verified in this process.
func (r *layoutRepository) isStoreFile(ctx context.Context, blob Blob, info fs.FileInfo) bool {
	if blob.File == nil {
		return false
	}
	path, err := blob.File(ctx)
	if err != nil {
		return false
	}
	store, err := os.Stat(path)
	return err == nil && os.SameFile(store, info)
}

func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
