package verify

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/publish"
)

// Child is one platform of an index.
type Child struct {
	Platform string
	Digest   digest.Digest
}

// Platforms lists the platforms of an index. An index that two readers may
// understand differently is an error.
func Platforms(m publish.Manifest) ([]Child, error) {
	if err := unambiguous(m.Raw); err != nil {
		return nil, fmt.Errorf("index %s: %w", m.Digest(), err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(m.Raw, &index); err != nil {
		return nil, fmt.Errorf("index %s: %w", m.Digest(), err)
	}
	if len(index.Manifests) == 0 {
		return nil, fmt.Errorf("index %s holds no platform", m.Digest())
	}
	children := make([]Child, 0, len(index.Manifests))
	seen := map[string]bool{}
	for _, d := range index.Manifests {
		if _, err := publish.Hex(d.Digest); err != nil {
			return nil, fmt.Errorf("index %s: %w", m.Digest(), err)
		}
		if d.Platform == nil || d.MediaType != ocispec.MediaTypeImageManifest {
			return nil, fmt.Errorf("index %s: %s is not the image of a platform", m.Digest(), d.Digest)
		}
		platform := platformOf(*d.Platform)
		if seen[platform] {
			return nil, fmt.Errorf("index %s holds %s twice", m.Digest(), platform)
		}
		seen[platform] = true
		children = append(children, Child{Platform: platform, Digest: d.Digest})
	}
	return children, nil
}

// platformOf writes a platform as recipes do, with a variant where it has one.
func platformOf(p ocispec.Platform) string {
	text := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		text += "/" + p.Variant
	}
	return text
}

// titleOf is the image's name as a manifest says it; empty where it does not.
func titleOf(m publish.Manifest) string {
	var annotated struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(m.Raw, &annotated); err != nil {
		return ""
	}
	return annotated.Annotations[ocispec.AnnotationTitle]
}
