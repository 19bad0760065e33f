package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Annotations of a manifest that refers to an image and holds a bundle, as
// cosign v3 writes and filters by them.
const (
	AnnotationBundleContent   = "dev.sigstore.bundle.content"
	AnnotationBundlePredicate = "dev.sigstore.bundle.predicateType"
	bundleOfEnvelope          = "dsse-envelope"
)

// bundleTypes begins the media type of a bundle of any version.
const bundleTypes = "application/vnd.dev.sigstore.bundle"

// ErrNoBundle says that a manifest that refers to an image holds something
// else than a sigstore bundle.
var ErrNoBundle = errors.New("not a sigstore bundle")

// BundleItem carries a bundle.
func BundleItem(content []byte) Item { return newItem(MediaTypeBundle, content, nil) }

// Referrer makes the manifest that brings a bundle to its subject, a manifest
// in the same repository. It has no time of its own: the same bundle has the
// same manifest.
func Referrer(subject ocispec.Descriptor, predicateType string, bundle []byte) (*Manifest, error) {
	item := BundleItem(bundle)
	config := newItem(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data, nil)
	raw, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: MediaTypeBundle,
		Config:       config.Descriptor,
		Layers:       []ocispec.Descriptor{item.Descriptor},
		Subject:      &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{
			AnnotationBundleContent:   bundleOfEnvelope,
			AnnotationBundlePredicate: predicateType,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("referrer of %s: %w", subject.Digest, err)
	}
	return &Manifest{Raw: raw, Config: config, Items: []Item{item}}, nil
}

// OpenReferrer reads a manifest that Referrer made for a subject; the bundle
// in it has no content.
func OpenReferrer(raw []byte, subject digest.Digest) (*Manifest, error) {
	item, err := ReadReferrer(raw, subject)
	if err != nil {
		return nil, err
	}
	config := newItem(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data, nil)
	return &Manifest{Raw: raw, Config: config, Items: []Item{item}}, nil
}

// ReadReferrer returns the bundle that a manifest brings to its subject, as a
// descriptor. The error is ErrNoBundle where it is another kind of manifest,
// or refers to another subject.
func ReadReferrer(raw []byte, subject digest.Digest) (Item, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Item{}, fmt.Errorf("%w: referrer of %s: %w", ErrNoBundle, subject, err)
	}
	if m.Subject == nil || m.Subject.Digest != subject {
		return Item{}, fmt.Errorf("%w: a manifest that does not refer to %s", ErrNoBundle, subject)
	}
	if len(m.Layers) != 1 || !strings.HasPrefix(m.Layers[0].MediaType, bundleTypes) {
		return Item{}, fmt.Errorf("%w: referrer of %s of type %s", ErrNoBundle, subject, m.ArtifactType)
	}
	if err := m.Layers[0].Digest.Validate(); err != nil {
		return Item{}, fmt.Errorf("%w: referrer of %s: %w", ErrNoBundle, subject, err)
	}
	return Item{Descriptor: m.Layers[0]}, nil
}
