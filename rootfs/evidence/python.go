package evidence

import (
	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/rootfs/pypi"
)

// python reads the METADATA or PKG-INFO of an installed project.
func python(text []byte) Facts {
	i, err := pypi.Identify(text)
	if err != nil {
		return Facts{}
	}
	return Facts{License: i.License, Supplier: i.Author, Parts: []Part{{
		Type: packageurl.TypePyPi, Name: i.Name, Version: i.Version, License: i.License, Supplier: i.Author,
	}}}
}
