package vex

import (
	"fmt"
	"slices"
	"strings"

	openvex "github.com/openvex/go-vex/pkg/vex"
	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
)

// Locked is what the lock of one distro holds of an image.
type Locked struct {
	Name   string
	Distro recipes.Distro
	// Artifacts are those of every stream and platform, the ancestors'
	// included.
	Artifacts []recipes.Artifact
}

// Check holds the documents of an image to its lock: a product that is a
// package must be in it, on some platform, and so must a subcomponent that is
// a package of the distro. So a statement about a version that has moved is
// found, and its author looks again. Packages of the other distro are passed
// over. Two statements that contradict each other are a mistake too. The error
// is of type recipes.Errors.
func Check(files []recipes.VEX, l Locked) error {
	var all recipes.Errors
	said := map[string]openvex.Status{}
	for _, file := range files {
		for n, s := range file.Document.Statements {
			for m, p := range s.Products {
				key := fmt.Sprintf("statements[%d].products[%d]", n, m)
				for _, wrong := range append(l.product(p), contradicts(said, file.Document, s, p)) {
					if wrong != "" {
						all = append(all, &recipes.Error{Position: recipes.Position{File: file.File}, Key: key, Message: wrong})
					}
				}
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// product says what is wrong with one product and its subcomponents.
func (l Locked) product(p openvex.Product) []string {
	var wrong []string
	if !isImage(p.ID) && !l.otherDistro(p.ID) && !l.holds(p.ID) {
		wrong = append(wrong, l.missing(p.ID, fmt.Sprintf("; what lies inside of an artefact is a subcomponent of pkg:oci/%s", l.Name)))
	}
	for _, sub := range p.Subcomponents {
		if typeOf(sub.ID) == l.packages() && !l.holds(sub.ID) {
			wrong = append(wrong, l.missing(sub.ID, ""))
		}
	}
	return wrong
}

func (l Locked) holds(id string) bool { return holds(l.Artifacts, id) }

// packages is the type of the distro's own packages in purls.
func (l Locked) packages() string {
	if l.Distro == recipes.Alpine {
		return packageurl.TypeApk
	}
	return packageurl.TypeDebian
}

func (l Locked) otherDistro(id string) bool {
	kind := typeOf(id)
	return kind != l.packages() && (kind == packageurl.TypeApk || kind == packageurl.TypeDebian)
}

func typeOf(id string) string {
	purl, err := packageurl.FromString(id)
	if err != nil {
		return "" // reading the recipe has refused it
	}
	return purl.Type
}

// missing says that a package is not in the image, and which version of it is.
func (l Locked) missing(id, advice string) string {
	wanted, err := packageurl.FromString(id)
	if err != nil {
		return err.Error()
	}
	var have []string
	for _, a := range l.Artifacts {
		purl, err := packageurl.FromString(a.PURL)
		if err == nil && purl.Type == wanted.Type && purl.Namespace == wanted.Namespace && purl.Name == wanted.Name && !slices.Contains(have, purl.Version) {
			have = append(have, purl.Version)
		}
	}
	if len(have) == 0 {
		return fmt.Sprintf("%s is not in the lock of image %s%s", id, l.Name, advice)
	}
	return fmt.Sprintf("%s is not in the lock of image %s, which has %s: see whether the statement still holds, then change or remove it",
		id, l.Name, strings.Join(have, ", "))
}

// contradicts remembers what was said of a product at a time, and says where
// another statement said otherwise.
func contradicts(said map[string]openvex.Status, doc *openvex.VEX, s openvex.Statement, p openvex.Product) string {
	at := doc.Timestamp
	if s.Timestamp != nil {
		at = s.Timestamp
	}
	parts := []string{}
	for _, sub := range p.Subcomponents {
		parts = append(parts, sub.ID)
	}
	slices.Sort(parts)
	key := fmt.Sprintf("%s %s %v %d", s.Vulnerability.Name, p.ID, parts, at.UnixNano())
	before, ok := said[key]
	said[key] = s.Status
	if ok && before != s.Status {
		return fmt.Sprintf("%s is %s for %s in another statement of the same time, and %s here", p.ID, before, s.Vulnerability.Name, s.Status)
	}
	return ""
}
