package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Referrers reads every manifest that index.json names without a tag, and
// what a fallback tag lists, as other tools write it.
func (r *layoutRepository) Referrers(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, error) {
	if _, err := Hex(subject); err != nil {
		return nil, err
	}
	index, _, err := r.readIndex()
	if err != nil {
		return nil, err
	}
	var candidates []ocispec.Descriptor
	for _, d := range index.Manifests {
		switch d.Annotations[ocispec.AnnotationRefName] {
		case "":
			candidates = append(candidates, d)
		case FallbackTag(subject):
			listed, err := r.listed(ctx, d)
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, listed...)
		}
	}
	found := map[digest.Digest]ocispec.Descriptor{}
	for _, d := range candidates {
		m, err := r.Manifest(ctx, d.Digest)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnreadable) {
			continue // written anew by PutReferrers
		}
		if err != nil {
			return nil, err
		}
		if of, err := subjectOf(m.Raw); err == nil && of == subject {
			found[d.Digest] = d
		}
	}
	return sortedReferrers(found), nil
}

// listed is what a fallback tag's index names.
func (r *layoutRepository) listed(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	m, err := r.Manifest(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	return readReferrers(m.Raw, r.Reference(d.Digest.String()))
}

// readReferrers reads an index of referrers.
func readReferrers(raw []byte, from string) ([]ocispec.Descriptor, error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("%w: %s: list of referrers: %w", ErrUnreadable, from, err)
	}
	if len(index.Manifests) > maxReferrers {
		return nil, fmt.Errorf("%w: %s: %d referrers, at most %d are read", ErrUnreadable, from, len(index.Manifests), maxReferrers)
	}
	for _, d := range index.Manifests {
		if _, err := Hex(d.Digest); err != nil {
			return nil, fmt.Errorf("%w: %s: list of referrers: %w", ErrUnreadable, from, err)
		}
	}
	return index.Manifests, nil
}

func sortedReferrers(found map[digest.Digest]ocispec.Descriptor) []ocispec.Descriptor {
	list := make([]ocispec.Descriptor, 0, len(found))
	for _, d := range found {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b ocispec.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	return list
}

// PutReferrers writes the manifests and names them in index.json.
func (r *layoutRepository) PutReferrers(ctx context.Context, ms ...Manifest) ([]Manifest, error) {
	subject, err := oneSubject(ms)
	if err != nil {
		return nil, err
	}
	there, err := r.Referrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	var written []Manifest
	var descriptors []ocispec.Descriptor
	for _, m := range ms {
		if lists(there, m.Digest()) {
			continue
		}
		d, err := referrerDescriptor(m)
		if err != nil {
			return nil, err
		}
		if err := r.PutManifest(ctx, m); err != nil {
			return nil, err
		}
		written, descriptors = append(written, m), append(descriptors, d)
	}
	if len(written) == 0 {
		return nil, nil
	}
	return written, r.change(ctx, func(index *ocispec.Index) error {
		for _, d := range descriptors {
			if !lists(index.Manifests, d.Digest) {
				index.Manifests = append(index.Manifests, d)
			}
		}
		return nil
	})
}
