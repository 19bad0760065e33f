package attest

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/recipes"
)

// What an image that is built in one place and signed in another carries on
// its way: in-toto statements that nobody has signed. They lie in an OCI
// layout as one manifest that refers to the image's, each statement a layer of
// type PayloadType, annotated with its predicate's type as BuildKit annotates
// its own. No verifier takes them for attestations.

// AnnotationStatement names the predicate type of a statement's layer:
// https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md.
const AnnotationStatement = "in-toto.io/predicate-type"

// maxUnsigned is the most statements that are read of one image.
const maxUnsigned = 16

// UnsignedTag is the tag, in a layout, of a manifest's unsigned statements.
// It is a tag so that those of another build of the same image give way.
func UnsignedTag(digest recipes.Digest) string { return "sha256-" + string(digest) + ".statements" }

// ErrUnsigned says that unsigned statements are not in the form that Unsigned
// gives them.
var ErrUnsigned = errors.New("unsigned statements")

// UnsignedItem carries one statement.
func UnsignedItem(predicateType string, statement []byte) Item {
	return newItem(PayloadType, statement, map[string]string{AnnotationStatement: predicateType})
}

// Unsigned makes the manifest of unsigned statements about a manifest.
func Unsigned(subject ocispec.Descriptor, statements []Item) (*Manifest, error) {
	config := newItem(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data, nil)
	m := ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: PayloadType,
		Config:       config.Descriptor,
		Subject:      &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
	}
	for _, s := range statements {
		m.Layers = append(m.Layers, s.Descriptor)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", ErrUnsigned, subject.Digest, err)
	}
	return &Manifest{Raw: raw, Config: config, Items: statements}, nil
}

// ReadUnsigned returns the statements that a manifest names, as descriptors by
// predicate type. The manifest must be exactly what Unsigned makes of them:
// one of another form, about another subject, or with two statements of one
// type is ErrUnsigned.
func ReadUnsigned(raw []byte, subject ocispec.Descriptor) (map[string]Item, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w of %s: %w", ErrUnsigned, subject.Digest, err)
	}
	if m.Subject == nil || m.Subject.Digest != subject.Digest {
		return nil, fmt.Errorf("%w of %s: they refer to another image", ErrUnsigned, subject.Digest)
	}
	if len(m.Layers) > maxUnsigned {
		return nil, fmt.Errorf("%w of %s: %d of them, at most %d are read", ErrUnsigned, subject.Digest, len(m.Layers), maxUnsigned)
	}
	items := make([]Item, 0, len(m.Layers))
	byType := make(map[string]Item, len(m.Layers))
	for _, d := range m.Layers {
		item := Item{Descriptor: d}
		predicateType := d.Annotations[AnnotationStatement]
		if _, twice := byType[predicateType]; twice || predicateType == "" {
			return nil, fmt.Errorf("%w of %s: two of type %q", ErrUnsigned, subject.Digest, predicateType)
		}
		byType[predicateType] = item
		items = append(items, item)
	}
	want, err := Unsigned(subject, items)
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(want.Raw) != digest.FromBytes(raw) {
		return nil, fmt.Errorf("%w of %s: a manifest of another form", ErrUnsigned, subject.Digest)
	}
	return byType, nil
}

// OpenUnsigned reads one statement, which must have this predicate type and
// speak of this manifest alone. The error is ErrSubject where it does not.
func OpenUnsigned(content []byte, predicateType string, digest recipes.Digest) (*Statement, error) {
	var s Statement
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	switch {
	case s.Type != StatementType:
		return nil, fmt.Errorf("%w: in-toto statement of type %q, want %s", ErrUnsigned, s.Type, StatementType)
	case s.PredicateType != predicateType:
		return nil, fmt.Errorf("%w: annotated as %s, states %s", ErrUnsigned, predicateType, s.PredicateType)
	case len(s.Subject) != 1:
		return nil, fmt.Errorf("%w: %s speaks of %d subjects, want one", ErrUnsigned, predicateType, len(s.Subject))
	case !s.About(digest):
		return nil, fmt.Errorf("%w: %s speaks of sha256:%s: %w", ErrUnsigned, predicateType, s.Subject[0].Digest["sha256"], ErrSubject)
	}
	return &s, nil
}
