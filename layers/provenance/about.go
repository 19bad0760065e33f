package provenance

import (
	"encoding/json"
	"fmt"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/recipes"
)

// Image is what is known of an image without its provenance.
type Image struct {
	// Name is the image's own name, the last part of its repository.
	Name string
	// Platform is what an index says; empty where that is not known.
	Platform recipes.Platform
	// Manifest is the image manifest.
	Manifest []byte
}

// MismatchError says that provenance speaks of another image than the one
// that it is attached to.
type MismatchError struct {
	What string // what differs: image, platform, parent, date
	// Expected is what the image says, Found what its provenance says; either
	// is "none" where it says nothing.
	Expected, Found string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("the provenance speaks of another image: its %s is %s, the image's is %s", e.What, e.Found, e.Expected)
}

// About holds a predicate against the image that it is attached to: same name,
// platform and date, and the same parent, by digest. That
// the statement's subject is the manifest's digest is for whoever opened the
// statement to check. What does not agree is a *MismatchError.
func (p *Predicate) About(i Image) error {
	var m ocispec.Manifest
	if err := json.Unmarshal(i.Manifest, &m); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	external, internal := p.BuildDefinition.ExternalParameters, p.BuildDefinition.InternalParameters
	date := internal.LockDate
	if !external.SourceDate.IsZero() {
		date = external.SourceDate
	}
	parent := ""
	if d, ok := p.Parent(); ok {
		parent = "sha256:" + string(d.Digest.SHA256)
	}
	platform := i.Platform
	if platform == "" {
		platform = external.Platform
	}
	for _, c := range []struct{ what, expected, found string }{
		{"image", i.Name, external.Image},
		{"platform", string(platform), string(external.Platform)},
		{"date", m.Annotations[ocispec.AnnotationCreated], date.UTC().Format(time.RFC3339)},
		{"parent", m.Annotations[ocispec.AnnotationBaseImageDigest], parent},
	} {
		if c.expected != c.found {
			return &MismatchError{c.what, orNone(c.expected), orNone(c.found)}
		}
	}
	return nil
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
