package recipes

import (
	"errors"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// placementKeys say which entries of an archive land where.
var placementKeys = []string{"inner", "strip", "select", "drop", "into", "owner", "mode"}

func (r record) placement() Placement {
	p := Placement{Inner: r.text("inner"), Strip: r.number("strip"), Select: r.texts("select"), Drop: r.drops(), Into: r.text("into")}
	if p.Inner != "" {
		if err := checkGlob(p.Inner); err != nil {
			r.fault("inner", "%v", err)
		}
	}
	for _, pattern := range p.Select {
		if err := checkGlob(pattern); err != nil {
			r.fault("select", "%v", err)
		}
	}
	if p.Into != "" && p.Into != "." {
		if err := CheckPath(p.Into); err != nil {
			r.fault("into", "%v", err)
		}
	}
	if p.Into == "." {
		p.Into = ""
	}
	p.UID, p.GID = r.owner()
	p.Mode = parsed(r, "mode", parseMode)
	return p
}

// license reads an SPDX expression.
func (r record) license(required bool) string {
	text := r.text("license")
	if required {
		text = r.must("license")
	}
	r.match("license", text, licenseText, "licence expression")
	return text
}

// supplier reads the name of an organisation.
func (r record) supplier() string {
	text := r.text("supplier")
	r.match("supplier", text, supplierText, "name of an organisation")
	return text
}

func (r record) tarballs() []Tarball {
	var out []Tarball
	for _, one := range r.items("tarballs") {
		inner, ok := r.listed(one, append([]string{"name", "version", "license", "supplier", "url", "archive", "path",
			"release", "sha256", "apk-root"}, placementKeys...)...)
		if !ok {
			continue
		}
		t := Tarball{Name: inner.must("name"), Version: inner.text("version"), URL: inner.text("url"),
			Archive: inner.text("archive"), Path: inner.text("path"), Release: inner.text("release"),
			SHA256: parsed(inner, "sha256", ParseDigest), APKRoot: inner.flag("apk-root"),
			Placement: inner.placement(), Pos: inner.v.pos}
		t.License, t.Supplier = inner.license(!t.APKRoot), inner.supplier()
		inner.match("name", t.Name, packageName, "name")
		inner.match("version", t.Version, versionText, "version")
		inner.tarballPlace(t)
		out = append(out, t)
	}
	return out
}

// tarballPlace holds a tarball to one of its three places.
func (r record) tarballPlace(t Tarball) {
	places := 0
	for _, set := range []bool{t.URL != "", t.Archive != "" || t.Path != "", t.Release != ""} {
		if set {
			places++
		}
	}
	if places != 1 {
		r.add(r.v.pos, r.key, "want exactly one of url, archive with path, release")
		return
	}
	if t.Release != "" {
		r.match("release", t.Release, packageName, "release")
		return
	}
	if t.APKRoot && t.URL != "" { // its packages are locked at a place below the mirror
		r.fault("apk-root", "a root is found by release, or by archive and path")
	}
	if t.URL != "" {
		if err := checkURL(t.URL); err != "" {
			r.fault("url", "%s", err)
		}
	} else {
		r.match("archive", r.must("archive"), archiveName, "archive name")
		r.imagePath("path")
	}
	if t.SHA256 == "" && !r.has("sha256") {
		r.add(r.v.pos, join(r.key, "sha256"), "missing")
	}
	if t.Version == "" {
		r.must("version")
	}
}

// checkURL says what is wrong with a tarball's address, or nothing.
func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "bad address"
	case u.User != nil:
		return "an address in a recipe carries no credentials"
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "want an https or http address"
	}
	return ""
}

func (r record) maven() []MavenSource {
	var out []MavenSource
	for _, one := range r.items("maven") {
		inner, ok := r.listed(one, append([]string{"artifact", "license", "supplier", "extract", "rename"}, placementKeys...)...)
		if !ok {
			continue
		}
		m := MavenSource{Coordinate: inner.must("artifact"), License: inner.license(false), Supplier: inner.supplier(),
			Extract: inner.flag("extract"), Rename: inner.text("rename"), Placement: inner.placement(), Pos: inner.v.pos}
		inner.match("artifact", m.Coordinate, mavenText, "coordinate (group:artifact:version[:classifier][@type])")
		if strings.Contains(m.Rename, "/") {
			inner.fault("rename", "want a file name, not a path")
		} else if m.Rename != "" {
			if err := CheckPath(m.Rename); err != nil {
				inner.fault("rename", "%v", err)
			}
		}
		if m.Extract && m.Rename != "" {
			inner.fault("rename", "an extracted artefact is not one file")
		}
		if !m.Extract && (m.Inner != "" || m.Strip > 0 || len(m.Select) > 0) {
			inner.add(inner.v.pos, inner.key, "inner, strip and select are for an artefact with extract: true")
		}
		out = append(out, m)
	}
	return out
}

func (r record) pypi() []PyPISource {
	var out []PyPISource
	for _, one := range r.items("pypi") {
		inner, ok := r.listed(one, append([]string{"requirement", "license", "supplier", "sdist"}, placementKeys...)...)
		if !ok {
			continue
		}
		p := PyPISource{Requirement: inner.must("requirement"), License: inner.license(false), Supplier: inner.supplier(),
			SDist: inner.flag("sdist"), Placement: inner.placement(), Pos: inner.v.pos}
		inner.match("requirement", p.Requirement, pypiText, "requirement (name==version)")
		if p.SDist && len(p.Select) == 0 {
			inner.add(inner.v.pos, join(inner.key, "select"), "missing: an sdist is an archive to select from")
		}
		out = append(out, p)
	}
	return out
}

func (r record) goPrograms(folder *folder) []GoSource {
	var out []GoSource
	for _, one := range r.items("go") {
		inner, ok := r.listed(one, "package", "module", "version", "license", "supplier", "ldflags", "into")
		if !ok {
			continue
		}
		g := GoSource{Package: inner.must("package"), Module: inner.text("module"), Version: inner.must("version"),
			License: inner.license(true), Supplier: inner.supplier(), LDFlags: inner.texts("ldflags"),
			Into: inner.imagePath("into"), Pos: inner.v.pos}
		if err := module.CheckImportPath(g.Package); g.Package != "" && err != nil {
			inner.fault("package", "%v", err)
		}
		if g.Module != "" && g.Module != g.Package && !strings.HasPrefix(g.Package, g.Module+"/") {
			inner.fault("module", "package %s is not below module %s", g.Package, g.Module)
		}
		if g.Version != "" && semver.Canonical(g.Version) != strings.TrimSuffix(g.Version, "+incompatible") {
			inner.fault("version", "bad module version %q: want a full one such as v1.2.3", g.Version)
		}
		generated := "go/" + path.Base(g.Package) + "/"
		g.GoMod, g.GoSum = inner.optional(folder, generated+"go.mod.txt"), inner.optional(folder, generated+"go.sum.txt")
		out = append(out, g)
	}
	return out
}

// optional reads a file of the recipe's folder that lock writes; where there
// is none it is empty.
func (r record) optional(folder *folder, name string) string {
	if _, err := fs.Lstat(folder.fsys, path.Join(folder.dir, name)); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	data, err := folder.read(name)
	if err != nil {
		r.fault("package", "%v", err)
	}
	return string(data)
}
