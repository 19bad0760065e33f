package attest

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/shudl/shudl-assemble/recipes"
)

// Media types and annotations of cosign's classic manifests, in which each
// signature or attestation is a layer.
const (
	MediaTypeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	MediaTypeDSSE          = "application/vnd.dsse.envelope.v1+json"
	AnnotationSignature    = "dev.cosignproject.cosign/signature"
	AnnotationPredicate    = "predicateType"
)

// Annotations of a classic item that an identity signed, as cosign writes
// them: its certificate and the issuers of that in PEM, and when an authority
// saw it (RFC 3161).
const (
	AnnotationCertificate = "dev.sigstore.cosign/certificate"
	AnnotationChain       = "dev.sigstore.cosign/chain"
	AnnotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// SignatureTag is the tag under which a manifest's signatures lie.
func SignatureTag(digest recipes.Digest) string { return "sha256-" + string(digest) + ".sig" }

// AttestationTag is the tag under which a manifest's attestations lie.
func AttestationTag(digest recipes.Digest) string { return "sha256-" + string(digest) + ".att" }

// Item is one layer of a classic manifest. Content is nil where only the
// descriptor is known, as of an item that lies in the repository already.
type Item struct {
	ocispec.Descriptor
	Content []byte
}

// SignatureItem carries a payload and its signature.
func SignatureItem(payload, signature []byte) Item {
	return newItem(MediaTypeSimpleSigning, payload, map[string]string{
		AnnotationSignature: base64.StdEncoding.EncodeToString(signature),
	})
}

// AttestationItem carries a DSSE envelope. Its signature is inside; the empty
// annotation is cosign's.
func AttestationItem(predicateType string, envelope []byte) Item {
	return newItem(MediaTypeDSSE, envelope, map[string]string{
		AnnotationSignature: "",
		AnnotationPredicate: predicateType,
	})
}

func newItem(mediaType string, content []byte, annotations map[string]string) Item {
	return Item{
		Descriptor: ocispec.Descriptor{
			MediaType:   mediaType,
			Digest:      digest.FromBytes(content),
			Size:        int64(len(content)),
			Annotations: annotations,
		},
		Content: content,
	}
}

// Certify says with which certificate an item was signed, its issuers with
// the root last, and the timestamp authority's response (DER).
func (i *Item) Certify(leaf *x509.Certificate, issuers []*x509.Certificate, stamp []byte) error {
	certificate, err := cryptoutils.MarshalCertificateToPEM(leaf)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	chain, err := cryptoutils.MarshalCertificatesToPEM(issuers)
	if err != nil {
		return fmt.Errorf("certificate chain: %w", err)
	}
	timestamp, err := json.Marshal(bundle.TimestampToRFC3161Timestamp(stamp))
	if err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	i.Annotations[AnnotationCertificate] = string(certificate)
	i.Annotations[AnnotationChain] = string(chain)
	i.Annotations[AnnotationTimestamp] = string(timestamp)
	return nil
}

// Manifest is a classic manifest with its config.
type Manifest struct {
	Raw    []byte
	Config Item
	Items  []Item
}

// Assemble makes the manifest of items, the same bytes that cosign makes.
func Assemble(items []Item) (*Manifest, error) {
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	adds := make([]mutate.Addendum, 0, len(items))
	for _, item := range items {
		adds = append(adds, mutate.Addendum{Layer: layer{item}, Annotations: item.Annotations})
	}
	img, err := mutate.Append(base, adds...)
	if err != nil {
		return nil, fmt.Errorf("manifest of signatures: %w", err)
	}
	raw, err := img.RawManifest()
	if err != nil {
		return nil, fmt.Errorf("manifest of signatures: %w", err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("manifest of signatures: %w", err)
	}
	return &Manifest{Raw: raw, Config: newItem(ocispec.MediaTypeImageConfig, config, nil), Items: items}, nil
}

// maxItems is the most layers that a classic manifest may have, as in cosign.
const maxItems = 1000

// Read returns the items that a classic manifest names.
func Read(raw []byte) ([]Item, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("manifest of signatures: %w", err)
	}
	if len(m.Layers) > maxItems {
		return nil, fmt.Errorf("manifest of signatures: %d layers, at most %d are read", len(m.Layers), maxItems)
	}
	items := make([]Item, 0, len(m.Layers))
	for _, d := range m.Layers {
		if err := d.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("manifest of signatures: %w", err)
		}
		items = append(items, Item{Descriptor: d})
	}
	return items, nil
}

// Merge puts ours among what a repository has already: an item that replaces
// says is an older form of one of ours gives its place, the others stay, and
// what is there already is not added again. So a second push changes nothing,
// and another's signature is kept.
func Merge(existing, ours []Item, replaces func(old, ours Item) (bool, error)) ([]Item, error) {
	merged := make([]Item, 0, len(existing)+len(ours))
	for _, item := range existing {
		if slices.ContainsFunc(ours, func(o Item) bool { return same(item, o) }) {
			merged = append(merged, item)
			continue
		}
		older := false
		for _, o := range ours {
			old, err := replaces(item, o)
			if err != nil {
				return nil, err
			}
			if !old {
				continue
			}
			older = true
			if !holds(existing, o) && !holds(merged, o) {
				merged = append(merged, o)
				break
			}
		}
		if !older {
			merged = append(merged, item)
		}
	}
	for _, o := range ours {
		if !holds(merged, o) {
			merged = append(merged, o)
		}
	}
	return merged, nil
}

func holds(items []Item, item Item) bool {
	return slices.ContainsFunc(items, func(i Item) bool { return same(i, item) })
}

// Holds says whether items has each of ours.
func Holds(items, ours []Item) bool {
	for _, item := range ours {
		if !slices.ContainsFunc(items, func(there Item) bool { return same(there, item) }) {
			return false
		}
	}
	return true
}

func same(a, b Item) bool {
	return a.Digest == b.Digest && a.MediaType == b.MediaType &&
		a.Annotations[AnnotationSignature] == b.Annotations[AnnotationSignature] &&
		a.Annotations[AnnotationPredicate] == b.Annotations[AnnotationPredicate]
}

// layer shows an item as a layer; its content is never asked for while a
// manifest is made.
type layer struct{ item Item }

func (l layer) Digest() (v1.Hash, error)             { return v1.NewHash(l.item.Digest.String()) }
func (l layer) DiffID() (v1.Hash, error)             { return l.Digest() }
func (l layer) Size() (int64, error)                 { return l.item.Size, nil }
func (l layer) MediaType() (types.MediaType, error)  { return types.MediaType(l.item.MediaType), nil }
func (l layer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

func (l layer) Compressed() (io.ReadCloser, error) {
	if l.item.Content == nil {
		return nil, errors.New("the content of a kept signature is not here")
	}
	return io.NopCloser(bytes.NewReader(l.item.Content)), nil
}
