package deb

import (
	"strings"

	"github.com/package-url/packageurl-go"
)

// purl is a package's address in the form that scanners derive from the
// image's own database: the binary package, with the source package as
// "upstream" where that has another name or version.
func (p *Package) purl() string {
	q := packageurl.Qualifiers{{Key: "arch", Value: p.Architecture}}
	if p.release != "" {
		major, _, _ := strings.Cut(p.release, ".")
		q = append(q, packageurl.Qualifier{Key: "distro", Value: "debian-" + major})
	}
	switch {
	case p.SourceVersion != p.Version:
		q = append(q, packageurl.Qualifier{Key: "upstream", Value: p.Source + "@" + p.SourceVersion})
	case p.Source != p.Name:
		q = append(q, packageurl.Qualifier{Key: "upstream", Value: p.Source})
	}
	return packageurl.NewPackageURL(packageurl.TypeDebian, "debian", p.Name, p.Version, q, "").ToString()
}
