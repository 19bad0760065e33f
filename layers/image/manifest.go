package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/recipes"
)

// annotationPrefix begins the names that the image specification defines.
const annotationPrefix = "org.opencontainers.image."

// manifest makes the manifest's bytes.
func (b *Built) manifest() ([]byte, error) {
	m := ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      b.ConfigDescriptor(),
		Annotations: b.annotations(),
	}
	for _, l := range b.Layers {
		m.Layers = append(m.Layers, l.Descriptor())
	}
	if b.Parent != nil {
		m.Annotations[ocispec.AnnotationBaseImageDigest] = hexDigest(b.Parent.Digest).String()
	}
	return json.Marshal(m)
}

// annotations are those of manifest and index. The base is named by its exact
// version, as that tag is there for one platform and for several; the digest
// beside it says which build.
func (b *Built) annotations() map[string]string {
	a := map[string]string{ocispec.AnnotationCreated: b.Created.Format(time.RFC3339)}
	for name, value := range b.labels() {
		if strings.HasPrefix(name, annotationPrefix) {
			a[name] = value
		}
	}
	if p := b.Parent; p != nil {
		a[ocispec.AnnotationBaseImageName] = p.Image.Name + ":" + p.Tags[1]
	}
	return a
}

// Index makes the image index of one image for several platforms, in the
// order of their names. The platforms must hold the same version.
func Index(platforms []*Built) (data []byte, digest recipes.Digest, err error) {
	if len(platforms) == 0 {
		return nil, "", errors.New("an image index of no platforms")
	}
	platforms = slices.SortedFunc(slices.Values(platforms), func(a, b *Built) int {
		return strings.Compare(string(a.Platform), string(b.Platform))
	})
	first := platforms[0]
	index := ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageIndex,
		Annotations: first.annotations(),
	}
	for i, b := range platforms {
		switch {
		case b.Image.Ref != first.Image.Ref:
			return nil, "", fmt.Errorf("image index of %s and %s", first.Image.Ref, b.Image.Ref)
		case b.Version != first.Version:
			return nil, "", fmt.Errorf("image %s is %s for %s and %s for %s: an index holds one version; wait for the mirror, or push one platform",
				b.Image.Ref, first.Version, first.Platform, b.Version, b.Platform)
		case i > 0 && b.Platform == platforms[i-1].Platform:
			return nil, "", fmt.Errorf("image %s: %s twice in one index", b.Image.Ref, b.Platform)
		}
		os, arch, _ := strings.Cut(string(b.Platform), "/")
		d := descriptor(ocispec.MediaTypeImageManifest, b.Digest, int64(len(b.Manifest)))
		d.Platform = &ocispec.Platform{OS: os, Architecture: arch}
		index.Manifests = append(index.Manifests, d)
	}
	data, err = json.Marshal(index)
	return data, sum(data), err
}

func descriptor(mediaType string, d recipes.Digest, size int64) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: hexDigest(d), Size: size}
}
