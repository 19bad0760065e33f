package provenance

import (
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// BuildType names the kind of build that this package documents. A change of
// what a field means is another version of it.
const BuildType = "https://github.com/shudl/shudl-assemble/buildtypes/image/v1"

// Predicate is SLSA's provenance predicate, as far as this build type uses
// it. The order of the fields is that of the bytes.
type Predicate struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is everything that went into the build.
type BuildDefinition struct {
	BuildType            string             `json:"buildType"`
	ExternalParameters   ExternalParameters `json:"externalParameters"`
	InternalParameters   InternalParameters `json:"internalParameters"`
	ResolvedDependencies []Resource         `json:"resolvedDependencies"`
}

// ExternalParameters are what whoever ran the build chose.
type ExternalParameters struct {
	Image       string           `json:"image"`
	Stream      string           `json:"stream,omitempty"`
	Distro      recipes.Distro   `json:"distro"`
	Platform    recipes.Platform `json:"platform"`
	Compression string           `json:"compression"`
	SourceDate  time.Time        `json:"sourceDate,omitzero"`
}

// Ref is the image as the recipes name it.
func (p ExternalParameters) Ref() recipes.Ref { return recipes.Ref{Name: p.Image, Stream: p.Stream} }

// InternalParameters are what else decides the bytes.
type InternalParameters struct {
	Recipes  []Resource `json:"recipes"` // the base's first, the image's own last
	Version  string     `json:"version"`
	BuildID  string     `json:"buildId"`
	Release  string     `json:"release"`
	LockDate time.Time  `json:"lockDate"`
	Formats  Formats    `json:"formats"`
	Encoder  Resource   `json:"encoder"`
	Go       string     `json:"go,omitempty"`
}

// Formats are the versions of what the program itself decides.
type Formats struct {
	BuildID int `json:"buildId"`
	Lock    int `json:"lock"`
	Layer   int `json:"layer"`
}

// Resource is in-toto's resource descriptor:
// https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md.
type Resource struct {
	URI              string            `json:"uri,omitempty"`
	Digest           Digests           `json:"digest,omitzero"`
	Name             string            `json:"name,omitempty"`
	DownloadLocation string            `json:"downloadLocation,omitempty"`
	Annotations      map[string]string `json:"annotations,omitempty"`
}

// Digests are the digests of a resource, of which only sha256 is written.
type Digests struct {
	SHA256 recipes.Digest `json:"sha256"`
}

// The annotations of dependencies.
const (
	AnnotationImage = "image" // IMAGE[:STREAM] that an artefact belongs to
	AnnotationLayer = "layer" // its layer in that image's recipe
	AnnotationKind  = "kind"
	KindParent      = "parent" // the parent image, as a kind
)

// RunDetails are of the run that made the image.
type RunDetails struct {
	Builder Builder `json:"builder"`
}

// Builder is who ran the build.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Parent is the parent image among the dependencies; false for a base.
func (p *Predicate) Parent() (Resource, bool) {
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if d.Annotations[AnnotationKind] == KindParent {
			return d, true
		}
	}
	return Resource{}, false
}

// Artifacts are the dependencies that are locked artefacts.
func (p *Predicate) Artifacts() []Resource {
	var list []Resource
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if d.Annotations[AnnotationKind] != KindParent {
			list = append(list, d)
		}
	}
	return list
}
