package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// FallbackTag is the tag of the index that lists a manifest's referrers where
// a registry has no API for it:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema.
func FallbackTag(subject digest.Digest) string {
	return strings.Replace(subject.String(), ":", "-", 1)
}

// maxReferrers is the most referrers of one manifest that are looked at.
const maxReferrers = 1000

// StoredBundle is a sigstore bundle that lies beside an image.
type StoredBundle struct {
	// Referrer is the manifest that brings it.
	Referrer Manifest
	Content  []byte
}

// Bundles reads the sigstore bundles that refer to a manifest. Other
// referrers are left out, and so are broken ones: whoever may write to a
// repository could put them there.
func Bundles(ctx context.Context, repo Repository, subject digest.Digest) ([]StoredBundle, error) {
	listed, err := repo.Referrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	var bundles []StoredBundle
	for _, d := range listed {
		b, err := storedBundle(ctx, repo, d, subject)
		switch {
		case err == nil:
			bundles = append(bundles, b)
		case ctx.Err() != nil:
			return nil, err
		case errors.Is(err, attest.ErrNoBundle), errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt), errors.Is(err, ErrUnreadable):
		default:
			return nil, err
		}
	}
	return bundles, nil
}

func storedBundle(ctx context.Context, repo Repository, d ocispec.Descriptor, subject digest.Digest) (StoredBundle, error) {
	m, err := repo.Manifest(ctx, d.Digest)
	if err != nil {
		return StoredBundle{}, err
	}
	item, err := attest.ReadReferrer(m.Raw, subject)
	if err != nil {
		return StoredBundle{}, err
	}
	content, err := ReadSmall(ctx, repo, item.Descriptor)
	if err != nil {
		return StoredBundle{}, err
	}
	return StoredBundle{Referrer: m, Content: content}, nil
}

// subjectOf reads what a manifest refers to: "" for nothing.
func subjectOf(raw []byte) (digest.Digest, error) {
	var m struct {
		Subject *ocispec.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", fmt.Errorf("manifest: %w", err)
	}
	if m.Subject == nil {
		return "", nil
	}
	_, err := Hex(m.Subject.Digest)
	return m.Subject.Digest, err
}

// referrerSubject is the subject of a manifest that must have one.
func referrerSubject(m Manifest) (digest.Digest, error) {
	subject, err := subjectOf(m.Raw)
	if err == nil && subject == "" {
		err = fmt.Errorf("manifest %s refers to nothing", m.Digest())
	}
	return subject, err
}

// oneSubject is the subject that manifests have in common.
func oneSubject(ms []Manifest) (digest.Digest, error) {
	var subject digest.Digest
	for _, m := range ms {
		of, err := referrerSubject(m)
		if err != nil {
			return "", err
		}
		if subject != "" && of != subject {
			return "", fmt.Errorf("manifest %s refers to %s, others to %s", m.Digest(), of, subject)
		}
		subject = of
	}
	return subject, nil
}

// referrerDescriptor describes a referrer as lists of referrers do.
func referrerDescriptor(m Manifest) (ocispec.Descriptor, error) {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%w: referrer %s: %w", ErrUnreadable, m.Digest(), err)
	}
	d := m.Descriptor()
	d.ArtifactType, d.Annotations = manifest.ArtifactType, manifest.Annotations
	return d, nil
}

func lists(referrers []ocispec.Descriptor, d digest.Digest) bool {
	for _, r := range referrers {
		if r.Digest == d {
			return true
		}
	}
	return false
}
