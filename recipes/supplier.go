package recipes

import (
	"strings"
)

// Supplier is who the recipe says publishes a locked artefact of the image;
// empty where it says nothing.
func (i *Image) Supplier(a Artifact) string {
	for _, l := range i.Layers {
		if l.Name == a.Layer {
			return l.supplier(a)
		}
	}
	return ""
}

func (l Layer) supplier(a Artifact) string {
	switch a.Kind {
	case KindTarball:
		for _, t := range l.Tarballs {
			if t.Name == a.Name {
				return t.Supplier
			}
		}
	case KindMaven:
		for _, m := range l.Maven {
			if group, rest, ok := strings.Cut(m.Coordinate, ":"); ok && sameMaven(a, group, rest) {
				return m.Supplier
			}
		}
	case KindPyPI:
		for _, p := range l.PyPI {
			name, version, _ := strings.Cut(p.Requirement, "==")
			if strings.EqualFold(dashes.ReplaceAllString(name, "-"), a.Name) && version == a.Version && p.Supplier != "" {
				return p.Supplier
			}
		}
	case KindGo:
		for _, g := range l.Go {
			if g.Package == a.Name {
				return g.Supplier
			}
		}
	}
	return ""
}

// sameMaven tells whether a coordinate group:artifact:version… is that of a
// locked artefact, whose name has no version.
func sameMaven(a Artifact, group, rest string) bool {
	artifact, version, _ := strings.Cut(rest, ":")
	version, _, _ = strings.Cut(version, "@")
	version, _, _ = strings.Cut(version, ":")
	name := group + ":" + artifact
	return version == a.Version && (a.Name == name || strings.HasPrefix(a.Name, name+":") || strings.HasPrefix(a.Name, name+"@"))
}

// dashes are the characters that names of Python projects do not tell apart.
var dashes = NewPattern(`[-_.]+`)
