package deb

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"pault.ag/go/debian/version"

	"github.com/shudl/shudl-assemble/recipes"
)

// Package is one binary package of an index.
type Package struct {
	Name    string
	Version string
	// Architecture is the package's own: the index's, or "all".
	Architecture string
	// Source and SourceVersion name the source package it was built from.
	Source, SourceVersion string
	// Archive and Path say where its .deb lies: below that mirror.
	Archive, Path string
	// Suite is the suite whose index lists it: trixie-security.
	Suite  string
	Size   int64
	SHA256 recipes.Digest

	release   string // of the distribution: 13.8
	ver       version.Version
	priority  priority
	essential bool
	important bool
	// multiArchAllowed lets a relation with ":any" be met by the package.
	multiArchAllowed bool
	// Relation fields as written; they are read when they are needed.
	preDepends, depends, conflicts, breaks string
	provides                               []alternative
}

// priority is a package's archive priority, the most wanted lowest.
type priority int8

func parsePriority(s string) priority {
	switch s {
	case "required":
		return 1
	case "important":
		return 2
	case "standard":
		return 3
	case "optional":
		return 4
	}
	return 5
}

// relations are the fields of a package that bind it to others.
type relations struct {
	needs     []relation // Pre-Depends, then Depends
	conflicts []relation // Conflicts, then Breaks
}

// relations reads the package's relation fields.
func (p *Package) relations() (relations, error) {
	var out relations
	for _, f := range []struct {
		name, text string
		to         *[]relation
	}{
		{"Pre-Depends", p.preDepends, &out.needs},
		{"Depends", p.depends, &out.needs},
		{"Conflicts", p.conflicts, &out.conflicts},
		{"Breaks", p.breaks, &out.conflicts},
	} {
		rels, err := parseRelations(f.text)
		if err != nil {
			return out, fmt.Errorf("package %s %s, %s: %w", p.Name, p.Version, f.name, err)
		}
		*f.to = append(*f.to, rels...)
	}
	return out, nil
}

// Artifact is the package as a lock keeps it. The licence is filled in once
// the package itself is there.
func (p *Package) Artifact(layer string) recipes.Artifact {
	return recipes.Artifact{
		Layer: layer, Kind: recipes.KindDeb, Name: p.Name, Version: p.Version,
		PURL: p.purl(), Size: p.Size, SHA256: p.SHA256,
		Origin: p.Source, Archive: p.Archive, Path: p.Path,
	}
}

// mentioned are the fields whose package names apt numbers, in the order in
// which it reads them. Where nothing else decides between the providers of a
// virtual package, apt takes the one that was named last.
func mentioned() []string {
	return []string{"pre-depends", "depends", "conflicts", "breaks", "recommends", "suggests", "replaces", "enhances", "provides"}
}

// wantedFields are the fields that are kept of an index paragraph.
func wantedFields() map[string]bool {
	keep := map[string]bool{
		"package": true, "version": true, "architecture": true, "source": true, "filename": true,
		"size": true, "sha256": true, "priority": true, "essential": true, "important": true, "protected": true, "multi-arch": true,
	}
	for _, f := range mentioned() {
		keep[f] = true
	}
	return keep
}

// readPackages reads a Packages file and calls add for each paragraph.
func readPackages(r io.Reader, arch string, add func(*Package, paragraph)) error {
	c := newControlReader(r)
	c.keep = wantedFields()
	for {
		para, err := c.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		p, err := newPackage(para, arch)
		if err != nil {
			return fmt.Errorf("paragraph before line %d: %w", c.line, err)
		}
		add(p, para)
	}
}

// newPackage makes a Package of an index paragraph.
func newPackage(para paragraph, arch string) (*Package, error) {
	p := &Package{Name: para.get("Package"), Version: para.get("Version"), Architecture: para.get("Architecture")}
	if !validName(p.Name) {
		return nil, fmt.Errorf("%q is no package name", p.Name)
	}
	if p.Architecture != arch && p.Architecture != "all" {
		return nil, fmt.Errorf("package %s is for %q, the index for %s", p.Name, p.Architecture, arch)
	}
	var err error
	if p.ver, err = parseVersion(p.Version); err != nil {
		return nil, fmt.Errorf("package %s: %w", p.Name, err)
	}
	if err := p.place(para); err != nil {
		return nil, fmt.Errorf("package %s %s: %w", p.Name, p.Version, err)
	}
	p.Source, p.SourceVersion = sourceOf(para.get("Source"), p.Name, p.Version)
	p.priority = parsePriority(para.get("Priority"))
	p.essential = para.get("Essential") == "yes"
	p.important = para.get("Important") == "yes" || para.get("Protected") == "yes"
	p.multiArchAllowed = para.get("Multi-Arch") == "allowed"
	p.preDepends, p.depends = para.get("Pre-Depends"), para.get("Depends")
	p.conflicts, p.breaks = para.get("Conflicts"), para.get("Breaks")
	provides, err := parseRelations(para.get("Provides"))
	if err != nil {
		return nil, fmt.Errorf("package %s %s, Provides: %w", p.Name, p.Version, err)
	}
	for _, r := range provides {
		// Only an exact version can be provided (Policy 7.5); apt ignores others.
		if len(r) == 1 && (r[0].op == "" || r[0].op == "=") {
			p.provides = append(p.provides, r[0])
		}
	}
	return p, nil
}

// place reads where the .deb lies and what it must weigh and hash to.
func (p *Package) place(para paragraph) error {
	p.Path = para.get("Filename")
	if !strings.HasPrefix(p.Path, "pool/") || !cleanPath(p.Path) {
		return fmt.Errorf("field Filename %q does not lie below pool/", p.Path)
	}
	size, err := strconv.ParseInt(para.get("Size"), 10, 64)
	if err != nil || size <= 0 {
		return fmt.Errorf("field Size %q", para.get("Size"))
	}
	p.Size = size
	p.SHA256, err = recipes.ParseDigest(para.get("SHA256"))
	return err
}

// sourceOf reads "name (version)"; what is not said is the binary's own.
func sourceOf(s, name, ver string) (string, string) {
	if s == "" {
		return name, ver
	}
	source, rest, ok := strings.Cut(s, " ")
	if ok {
		ver = strings.Trim(strings.TrimSpace(rest), "()")
	}
	return source, ver
}

// cleanPath says whether a path is relative and stays where it is put.
func cleanPath(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsAny(p, "\x00\\?#%")
}
