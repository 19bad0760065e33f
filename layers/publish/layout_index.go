package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationKind tells cosign what an entry of a layout is.
const annotationKind = "kind"

// readIndex reads index.json and its bytes; a layout that is not there yet is
// an empty one.
func (r *layoutRepository) readIndex() (ocispec.Index, []byte, error) {
	empty := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{},
	}
	path := filepath.Join(r.dir, ocispec.ImageIndexFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil, nil
	}
	if err != nil {
		return empty, nil, layoutError("read the layout", err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return empty, nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, d := range index.Manifests {
		if _, err := Hex(d.Digest); err != nil {
			return empty, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return index, raw, nil
}

// tagged are the entries that have a tag. Other tools may give one to several
// entries, which the specification of layouts allows; that of indexes takes the
// first that matches.
func tagged(index ocispec.Index) map[string]ocispec.Descriptor {
	entries := map[string]ocispec.Descriptor{}
	for _, d := range index.Manifests {
		tag := d.Annotations[ocispec.AnnotationRefName]
		if _, again := entries[tag]; tag != "" && !again {
			entries[tag] = d
		}
	}
	return entries
}

// Tag moves all tags in one step: readers see the old index or the new one.
func (r *layoutRepository) Tag(ctx context.Context, m Manifest, tags []string) error {
	return r.move(ctx, m, tags, func(*ocispec.Index) error { return nil })
}

// Swap looks and moves while no other process can.
func (r *layoutRepository) Swap(ctx context.Context, m Manifest, tags []string, was map[string]digest.Digest) error {
	return r.move(ctx, m, tags, func(index *ocispec.Index) error {
		entries := tagged(*index)
		for _, tag := range tags {
			if is := entries[tag].Digest; is != was[tag] && is != m.Digest() {
				return fmt.Errorf("%w: %s", ErrChanged, r.Reference(tag))
			}
		}
		return nil
	})
}

func (r *layoutRepository) move(ctx context.Context, m Manifest, tags []string, look func(*ocispec.Index) error) error {
	for _, tag := range tags {
		if !tagName.MatchString(tag) {
			return fmt.Errorf("%w: %q is not a tag", ErrUsage, tag)
		}
	}
	return r.change(ctx, func(index *ocispec.Index) error {
		if err := look(index); err != nil {
			return err
		}
		setTags(index, m, tags)
		return nil
	})
}

// change writes index.json anew, one process at a time.
func (r *layoutRepository) change(ctx context.Context, edit func(*ocispec.Index) error) error {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return layoutError("make the layout", err)
	}
	lock := flock.New(filepath.Join(r.layout.dir, "."+r.image+".lock"))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another process that writes %s: %w", r.dir, err)
	}
	defer lock.Close()

	index, old, err := r.readIndex()
	if err != nil {
		return err
	}
	if err := edit(&index); err != nil {
		return err
	}
	sortEntries(index.Manifests)
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if bytes.Equal(raw, old) {
		return nil
	}
	if err := r.writeLayoutFile(); err != nil {
		return err
	}
	// What the index names must be on disk before the index is.
	if err := syncDir(filepath.Join(r.dir, ocispec.ImageBlobsDir, "sha256")); err != nil {
		return layoutError("write the layout", err)
	}
	if err := r.writeFile(ocispec.ImageIndexFile, raw); err != nil {
		return err
	}
	r.removePartial()
	return nil
}

// writeFile writes a file of the layout at once. It begins beside its place:
// looking whether the system's temporary folder would do takes longer.
func (r *layoutRepository) writeFile(name string, content []byte) error {
	err := renameio.WriteFile(filepath.Join(r.dir, name), content, 0o644, renameio.IgnoreUmask(), renameio.WithTempDir(r.dir))
	if err != nil {
		return layoutError("write the layout", err)
	}
	return nil
}

// isLayout says whether the file is there that says what the folder is.
func (r *layoutRepository) isLayout() bool {
	_, err := os.Stat(filepath.Join(r.dir, ocispec.ImageLayoutFile))
	return err == nil
}

func (r *layoutRepository) writeLayoutFile() error {
	if r.isLayout() {
		return nil
	}
	raw, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	return r.writeFile(ocispec.ImageLayoutFile, raw)
}

// setTags points tags at a manifest.
func setTags(index *ocispec.Index, m Manifest, tags []string) {
	moved := map[string]bool{}
	for _, tag := range tags {
		moved[tag] = true
	}
	kept := index.Manifests[:0]
	for _, d := range index.Manifests {
		if !moved[d.Annotations[ocispec.AnnotationRefName]] {
			kept = append(kept, d)
		}
	}
	for tag := range moved {
		d := m.Descriptor()
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
		if kind := kind(m, tag); kind != "" {
			d.Annotations[annotationKind] = kind
		}
		kept = append(kept, d)
	}
	index.Manifests = kept
}

// sortEntries puts images first, each by tag; then what is said of them by
// tag; then what refers to them, by digest. Of several entries with one tag the
// first stays the first. What is said of the image that
// cosign reads of a layout comes before the rest, since cosign reads the
// first signatures and the first attestations.
func sortEntries(entries []ocispec.Descriptor) {
	main := FallbackTag(cosignImage(entries)) + "."
	rank := func(tag string) int {
		switch {
		case tag == "":
			return 3
		case describes(tag) && strings.HasPrefix(tag, main):
			return 1
		case describes(tag):
			return 2
		}
		return 0
	}
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i].Annotations[ocispec.AnnotationRefName], entries[j].Annotations[ocispec.AnnotationRefName]
		if rank(a) != rank(b) {
			return rank(a) < rank(b)
		}
		if a != b {
			return a < b
		}
		return a == "" && entries[i].Digest < entries[j].Digest
	})
}

// cosignImage is the digest of the image that cosign reads of a layout: the
// first index, else the first image.
func cosignImage(entries []ocispec.Descriptor) digest.Digest {
	var first ocispec.Descriptor
	for _, d := range entries {
		tag, index := d.Annotations[ocispec.AnnotationRefName], d.MediaType == ocispec.MediaTypeImageIndex
		if tag == "" || strings.HasPrefix(tag, "sha256-") {
			continue
		}
		was := first.MediaType == ocispec.MediaTypeImageIndex
		if first.Digest == "" || index && !was || index == was && tag < first.Annotations[ocispec.AnnotationRefName] {
			first = d
		}
	}
	return first.Digest
}

// describes says whether a tag is one of cosign's, or that of unsigned
// statements.
func describes(tag string) bool {
	return strings.HasPrefix(tag, "sha256-") &&
		(strings.HasSuffix(tag, ".sig") || strings.HasSuffix(tag, ".att") || strings.HasSuffix(tag, ".statements"))
}

// kind is the kind of an entry as cosign calls it.
func kind(m Manifest, tag string) string {
	const prefix = "dev.cosignproject.cosign/"
	switch {
	case describes(tag) && strings.HasSuffix(tag, ".sig"):
		return prefix + "sigs"
	case describes(tag) && strings.HasSuffix(tag, ".statements"):
		return "" // cosign knows none
	case describes(tag):
		return prefix + "atts"
	case m.MediaType == ocispec.MediaTypeImageIndex:
		return prefix + "imageIndex"
	}
	return prefix + "image"
}
