// Package publish brings images to where their readers find them: a registry
// or a folder of OCI layouts. Everything is written by digest first and read
// back; a tag moves last, so that no tag ever names an image that is not
// there, not signed or not described.
package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/recipes"
)

// Destination receives images, each as a repository of its own, and gives
// them back.
type Destination interface {
	// String is the destination as the user writes it: oci:DIR or
	// ghcr.io/org/repo.
	String() string
	// Local says that the user's own key, made on first use, is good enough:
	// a layout folder, or a registry on this machine.
	Local() bool
	// Check asks for permission to push these images, before anything is
	// built. The error is ErrPermission where it is refused.
	Check(ctx context.Context, images []string) error
	// Repository is the place of one image. Nothing is created by asking.
	Repository(image string) (Repository, error)
}

// Repository holds the manifests, blobs and tags of one image. What is read
// from it is compared with its digest: its word is not taken.
type Repository interface {
	// Name is what a signature binds to: ghcr.io/org/repo/postgresql, or the
	// image's name in a layout.
	Name() string
	// Reference writes a tag or digest of it as the user would.
	Reference(identifier string) string

	// Resolve finds a tag. The error is ErrNoTag where there is none.
	Resolve(ctx context.Context, tag string) (ocispec.Descriptor, error)
	// Manifest reads a manifest by digest. The error is ErrNotFound where it
	// is not there.
	Manifest(ctx context.Context, digest digest.Digest) (Manifest, error)
	// Blob reads a blob; the reader fails at the end where bytes and digest
	// disagree.
	Blob(ctx context.Context, blob ocispec.Descriptor) (io.ReadCloser, error)
	// Referrers lists the manifests that name the manifest with this digest
	// as their subject, sorted by digest: by the registry's referrers API,
	// else by the fallback tag. What the descriptors say of their content is
	// the registry's word.
	Referrers(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, error)

	// Has says whether the repository claims to have a blob.
	Has(ctx context.Context, blob ocispec.Descriptor) (bool, error)
	// PutBlob writes a blob that is missing.
	PutBlob(ctx context.Context, blob Blob) error
	// PutManifest writes a manifest by digest.
	PutManifest(ctx context.Context, manifest Manifest) error
	// PutReferrers writes manifests that name one subject, by digest, and
	// makes sure that Referrers lists them. Those that are listed already are
	// not written again: written tells of the others. Two calls for one subject
	// come one after the other, since the fallback tag is read, changed and
	// written.
	PutReferrers(ctx context.Context, manifests ...Manifest) (written []Manifest, err error)
	// ReadBack makes sure, over connections of its own, that what was written is
	// served: each manifest byte by byte, each blob by its size and a sample.
	ReadBack(ctx context.Context, manifests []Manifest, blobs []Blob) error
	// Tag points tags at a manifest that is there, in the order given. A
	// layout moves them all at once.
	Tag(ctx context.Context, manifest Manifest, tags []string) error
	// Swap is Tag where each tag still names what it did when was was read,
	// or nothing where was has no entry; else no tag moves and the error is
	// ErrChanged. A layout looks and moves in one step; a registry knows no
	// such request and is asked right before.
	Swap(ctx context.Context, manifest Manifest, tags []string, was map[string]digest.Digest) error
}

// Manifest is a manifest's bytes.
type Manifest struct {
	MediaType string
	Raw       []byte
}

// Digest is the sha256 of the bytes.
func (m Manifest) Digest() digest.Digest { return digest.FromBytes(m.Raw) }

// Descriptor describes the manifest.
func (m Manifest) Descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest(), Size: int64(len(m.Raw))}
}

// Blob is a blob that can be read as often as asked.
type Blob struct {
	ocispec.Descriptor
	// Open gives the bytes.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// File, where it is set, gives a file with exactly these bytes, verified,
	// which is never changed: a layout links it.
	File func(ctx context.Context) (string, error)
	// Sibling is an image of the same destination that has the blob, which a
	// registry can mount; empty where there is none.
	Sibling string
	// origin is a repository that has the blob, which one of the same registry
	// can mount.
	origin *name.Repository
	// content, where it is set, is what Open gives, and has the digest.
	content []byte
	// fresh says that nobody can have it yet: it names a manifest that was not
	// there either, or only that names it, so it is not asked for.
	fresh bool
}

// BytesBlob is a small blob in memory.
func BytesBlob(mediaType string, content []byte) Blob {
	return bytesBlob(ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}, content)
}

// bytesBlob is one whose descriptor was made of the content.
func bytesBlob(d ocispec.Descriptor, content []byte) Blob {
	return Blob{
		Descriptor: d, content: content,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// Attestation is something said of an image, signed when it is published.
type Attestation struct {
	PredicateType string
	// Key, where it is set, stands for the bytes of the predicate: whoever
	// gives the same key gives the same bytes.
	Key string
	// Compact says that the predicate has no white space between its tokens.
	Compact bool
	// Predicate makes the JSON of the predicate.
	Predicate func(ctx context.Context) ([]byte, error)
}

// Image is one platform of a release.
type Image struct {
	Platform recipes.Platform
	Manifest []byte // OCI image manifest
	// Blobs are the config and all layers, the parent's included.
	Blobs        []Blob
	Attestations []Attestation
}

// Release is an image for one or several platforms, and its tags.
type Release struct {
	Name   string // postgresql
	Images []Image
	// Index is the OCI image index of several platforms; nil for one.
	Index []byte
	// Tags are all tags. Fixed is the one among them that never moves.
	Tags  []string
	Fixed string
}

// Hex is a digest without its algorithm, which must be sha256.
func Hex(d digest.Digest) (recipes.Digest, error) {
	if err := d.Validate(); err != nil || d.Algorithm() != digest.SHA256 {
		return "", fmt.Errorf("digest %q: want sha256: and 64 hexadecimal digits", d)
	}
	return recipes.Digest(d.Encoded()), nil
}

// SHA256 is a digest with its algorithm.
func SHA256(d recipes.Digest) digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, string(d))
}
