// Package image makes OCI images of packed layers: configuration, manifest and
// index (OCI Image Format 1.1). An image is its parent's layers with its own on
// top; the configuration is computed from recipes, never carried over. Only
// OCI media types are written, and nothing in an image depends on where it
// will be published.
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/recipes"
)

// Input is what an image is made of.
type Input struct {
	Image *recipes.Image
	// Parent is the image below, nil for a base.
	Parent *Built
	// Layers are the image's own, the lowest first. They must not be empty
	// trees: an engine would keep them for nothing.
	Layers []Named
	// Version is the upstream version that the tags carry, BuildID what makes
	// the first of them unique.
	Version, BuildID string
	// Created is the date that the image carries: the lock's.
	Created time.Time
}

// StateLayer is the name of the last layer of every image: whatever is one
// file made from many packages.
const StateLayer = "state"

// Named is a packed layer with its name in the recipe.
type Named struct {
	Name string      `json:"name"`
	Blob layers.Blob `json:"blob"`
}

// Layer is one layer of a built image.
type Layer struct {
	Named
	// Image is the image that brought the layer, as NAME or NAME:STREAM.
	Image string `json:"image"`
	// Own says that it is not an ancestor's.
	Own bool `json:"own"`
}

// Built is an image of one platform. Its layers are in the store.
type Built struct {
	Image    *recipes.Image   `json:"-"`
	Platform recipes.Platform `json:"platform"`
	Parent   *Built           `json:"-"`
	Layers   []Layer          `json:"layers"` // the lowest first, the parent's included

	Config       []byte         `json:"config"`
	ConfigDigest recipes.Digest `json:"configDigest"`
	Manifest     []byte         `json:"manifest"`
	Digest       recipes.Digest `json:"digest"` // of the manifest

	Version string    `json:"version"`
	BuildID string    `json:"buildID"`
	Tags    []string  `json:"tags"` // of this platform alone; the first never moves
	Created time.Time `json:"created"`
}

// Build makes an image of its layers.
func Build(in Input) (*Built, error) {
	b, err := build(in)
	if err != nil {
		return nil, fmt.Errorf("image %s for %s: %w", in.Image.Ref, in.Image.Platform, err)
	}
	return b, nil
}

func build(in Input) (*Built, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	b := &Built{
		Image: in.Image, Platform: in.Image.Platform, Parent: in.Parent,
		Version: in.Version, BuildID: in.BuildID, Tags: in.Image.Tags(in.Version, in.BuildID),
		Created: in.Created.UTC().Truncate(time.Second),
	}
	if in.Parent != nil {
		for _, l := range in.Parent.Layers {
			l.Own = false
			b.Layers = append(b.Layers, l)
		}
	}
	for _, n := range in.Layers {
		b.Layers = append(b.Layers, Layer{Named: n, Image: in.Image.Ref.String(), Own: true})
	}
	var err error
	if b.Config, err = b.config(); err != nil {
		return nil, err
	}
	b.ConfigDigest = sum(b.Config)
	if b.Manifest, err = b.manifest(); err != nil {
		return nil, err
	}
	b.Digest = sum(b.Manifest)
	return b, nil
}

func (in Input) check() error {
	switch from := in.Image.From; {
	case in.Version == "" || in.BuildID == "":
		return errors.New("no version or no build id")
	case in.Created.IsZero():
		return errors.New("no date")
	case from == nil && in.Parent != nil:
		return fmt.Errorf("it is a base and has a parent, %s", in.Parent.Image.Ref)
	case from != nil && in.Parent == nil:
		return fmt.Errorf("its parent %s is missing", from)
	case from != nil && !in.Parent.Image.Is(*from):
		return fmt.Errorf("its parent is %s, not %s", from, in.Parent.Image.Ref)
	case from != nil && in.Parent.Platform != in.Image.Platform:
		return fmt.Errorf("its parent is for %s", in.Parent.Platform)
	case from == nil && len(in.Layers) == 0:
		return errors.New("a base without layers")
	}
	return nil
}

// Size is the sum of the compressed layers, the parent's included, in bytes.
func (b *Built) Size() int64 {
	var total int64
	for _, l := range b.Layers {
		total += l.Blob.Size
	}
	return total
}

// Uncompressed is the sum of the layers' tar streams, in bytes.
func (b *Built) Uncompressed() int64 {
	var total int64
	for _, l := range b.Layers {
		total += l.Blob.Uncompressed
	}
	return total
}

// Own counts the layers that the image adds to its parent.
func (b *Built) Own() int {
	n := 0
	for _, l := range b.Layers {
		if l.Own {
			n++
		}
	}
	return n
}

// ConfigDescriptor describes the configuration.
func (b *Built) ConfigDescriptor() ocispec.Descriptor {
	return descriptor(ocispec.MediaTypeImageConfig, b.ConfigDigest, int64(len(b.Config)))
}

// Descriptor describes a layer.
func (l Layer) Descriptor() ocispec.Descriptor {
	return descriptor(l.Blob.MediaType, l.Blob.Digest, l.Blob.Size)
}

func sum(data []byte) recipes.Digest {
	s := sha256.Sum256(data)
	return recipes.Digest(hex.EncodeToString(s[:]))
}
