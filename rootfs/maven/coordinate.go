// Package maven fetches artefacts of Maven repositories by their coordinates.
package maven

import (
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
)

// Coordinate names one file of a Maven repository:
// group:artifact:version[:classifier][@type], where type is jar by default.
type Coordinate struct {
	Group, Artifact, Version, Classifier, Type string
}

// part is what a coordinate's part may look like before it becomes a path.
var part = recipes.NewPattern(`^[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_+-])?$`)

// Parse reads a coordinate.
func Parse(s string) (Coordinate, error) {
	rest, kind, typed := strings.Cut(s, "@")
	if !typed {
		kind = "jar"
	}
	f := strings.Split(rest, ":")
	if len(f) != 3 && len(f) != 4 {
		return Coordinate{}, fmt.Errorf("maven %q: want group:artifact:version[:classifier][@type]", s)
	}
	c := Coordinate{Group: f[0], Artifact: f[1], Version: f[2], Type: kind}
	if len(f) == 4 {
		c.Classifier = f[3]
	}
	for _, p := range append(f, kind) {
		if !part.MatchString(p) || strings.Contains(p, "..") {
			return Coordinate{}, fmt.Errorf("maven %q: %q is no part of a coordinate", s, p)
		}
	}
	if strings.HasSuffix(c.Version, "-SNAPSHOT") {
		return Coordinate{}, fmt.Errorf("maven %q: a snapshot changes under its name; name a release", s)
	}
	return c, nil
}

// Name is the coordinate without its version, as locks have it:
// group:artifact[:classifier][@type].
func (c Coordinate) Name() string {
	s := c.Group + ":" + c.Artifact
	if c.Classifier != "" {
		s += ":" + c.Classifier
	}
	if c.Type != "jar" {
		s += "@" + c.Type
	}
	return s
}

// File is the artefact's file name.
func (c Coordinate) File() string {
	s := c.Artifact + "-" + c.Version
	if c.Classifier != "" {
		s += "-" + c.Classifier
	}
	return s + "." + c.Type
}

// folder is the path below a repository that holds the version's files.
func (c Coordinate) folder() string {
	return strings.ReplaceAll(c.Group, ".", "/") + "/" + c.Artifact + "/" + c.Version + "/"
}

// Path is the artefact's path below a repository.
func (c Coordinate) Path() string { return c.folder() + c.File() }

// pom is the path of the version's project description.
func (c Coordinate) pom() string { return c.folder() + c.Artifact + "-" + c.Version + ".pom" }

// PURL is the package URL, type maven.
func (c Coordinate) PURL() string {
	q := map[string]string{}
	if c.Classifier != "" {
		q["classifier"] = c.Classifier
	}
	if c.Type != "jar" || c.Classifier != "" {
		q["type"] = c.Type
	}
	return packageurl.NewPackageURL(packageurl.TypeMaven, c.Group, c.Artifact, c.Version, packageurl.QualifiersFromMap(q), "").ToString()
}
