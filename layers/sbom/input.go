// Package sbom says what is in an image, from what was put in and not from a
// scan: every locked artefact, and every file with the artefact or recipe
// entry that it came from. What the files themselves say, such as a jar of the
// projects that it was merged from, is listed beside these and marked as
// evidence. The same image has the same document, byte for byte.
package sbom

import (
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// Input is what the driver knows of one image of one platform.
type Input struct {
	Name     string // postgresql
	Version  string // as in its tags: 17.12
	Tag      string // the tag that never moves
	Platform recipes.Platform
	Distro   recipes.Distro
	// Release is the distro's own: 13.8, v3.24; empty where it is not known.
	Release string
	// Digest is that of the image manifest.
	Digest recipes.Digest
	// Created is the date of the lock.
	Created time.Time
	// Tool is the version of shudl-assemble, as in "0.3.0".
	Tool string
	// Base is the parent image; nil for a base.
	Base *Base
	// Artifacts are all locked artefacts, the parents' included.
	Artifacts []Artifact
	// Layers are all layers, the lowest first, the parents' included.
	Layers []Layer
	// Dropped is what recipes left out of artefacts.
	Dropped []Dropped
}

// Base is the parent that an image's layers lie on.
type Base struct {
	Name    string
	Version string
	Digest  recipes.Digest // of its manifest
}

// Artifact is one locked artefact in the image.
type Artifact struct {
	recipes.Artifact
	// Supplier is an organisation, as the recipe says; empty means that of the
	// distro for its own packages, else what the artefact's files say.
	Supplier string
	// Inherited marks what the parent put in.
	Inherited bool
}

// Layer is one layer and what it adds.
type Layer struct {
	Fragment *Fragment
	// Inherited marks a layer of the parent.
	Inherited bool
}

// Dropped is a path that a recipe left out of an artefact.
type Dropped struct {
	// Owner is the artefact's purl.
	Owner string
	// Path is that in the artefact; "a.jar!/b" lies inside an archive.
	Path   string
	Reason string
	// SHA256 is the dropped file's, Original that of the archive which lost
	// it; each empty where it is not known.
	SHA256   recipes.Digest
	Original recipes.Digest
}
