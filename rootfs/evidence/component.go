package evidence

import (
	"cmp"
	"slices"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/rootfs/maven"
)

// File is a file of an image with what it says.
type File struct {
	Path  string
	Facts Facts
}

// Method is how a component was recognised, as CycloneDX calls it
// (https://cyclonedx.org/docs/1.6/json/#components_items_evidence_identity).
type Method string

// The methods.
const (
	Manifest Method = "manifest-analysis" // metadata that the component brings
	Binary   Method = "binary-analysis"   // what the linker wrote into a program
	Filename Method = "filename"
)

// Component is software that a file shows.
type Component struct {
	// PURL is empty where the file does not say enough for one.
	PURL     string `json:"purl,omitempty"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	License  string `json:"license,omitempty"` // SPDX expression
	Supplier string `json:"supplier,omitempty"`
	Sum      string `json:"sum,omitempty"` // h1:… of a Go module
	// Path is that of the file, Where the path inside it; a component without
	// is the file as a whole.
	Path   string `json:"path"`
	Where  string `json:"where,omitempty"`
	Method Method `json:"method"`
	// Whole says that the file is the component, and does not just hold it.
	Whole bool `json:"whole,omitempty"`
}

// Components lists what the files of one layer show, sorted by path. A jar is
// itself a component: its coordinates are those of the project in it that has
// its name; else its group is what the file's name or its manifest says, or
// the one group that POMs of the layer's jars name with its artifact.
func Components(files []File) []Component {
	known := newProjects(files)
	var out []Component
	for _, f := range files {
		whole := Part{}
		if f.Facts.Jar != nil {
			var c Component
			var ok bool
			if whole, c, ok = known.jar(f); ok {
				out = append(out, c)
			}
		}
		for _, p := range f.Facts.Parts {
			if p.Type == whole.Type && p.Namespace == whole.Namespace && p.Name == whole.Name && p.Version == whole.Version {
				continue
			}
			out = append(out, p.component(f.Path))
		}
	}
	slices.SortFunc(out, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Where, b.Where), cmp.Compare(a.PURL, b.PURL))
	})
	return out
}

// component is a part as it was seen in a file.
func (p Part) component(path string) Component {
	c := Component{
		PURL: p.purl(), Name: p.Name, Version: p.Version, License: p.License, Supplier: p.Supplier, Sum: p.Sum,
		Path: path, Where: p.Where, Method: Manifest,
	}
	switch p.Type {
	case packageurl.TypeMaven:
		c.Name = p.Namespace + ":" + p.Name
	case packageurl.TypeGolang:
		c.Method = Binary
		if p.Namespace != "" {
			c.Name = p.Namespace + "/" + p.Name
		}
	}
	return c
}

func (p Part) purl() string {
	if p.Type == packageurl.TypeMaven {
		return maven.Coordinate{Group: p.Namespace, Artifact: p.Name, Version: p.Version, Type: "jar"}.PURL()
	}
	return packageurl.NewPackageURL(p.Type, p.Namespace, p.Name, p.Version, nil, "").ToString()
}

// Same tells whether two purls name one release, whatever their qualifiers.
func Same(a, b string) bool { return a != "" && bare(a) == bare(b) }

func bare(purl string) string {
	p, err := packageurl.FromString(purl)
	if err != nil {
		return purl
	}
	p.Qualifiers, p.Subpath = nil, ""
	return p.ToString()
}
