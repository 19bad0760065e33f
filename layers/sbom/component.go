package sbom

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

// seen is what the files of one owner show: other software in them, and what
// they say of the owner itself.
type seen struct {
	license, supplier string
	components        [][]shown // those of one release together
}

// evidence sorts components by the owners of the files that show them. What a
// file says of its own artefact is no other component.
func (d *describer) evidence() map[string]*seen {
	owners := map[string]*seen{}
	groups := map[string]map[string]int{}
	for _, c := range d.view.components() {
		s := owners[c.owner]
		if s == nil {
			s = &seen{}
			owners[c.owner], groups[c.owner] = s, map[string]int{}
		}
		if isOwner(c) {
			if s.license == "" {
				s.license = c.License
			}
			if s.supplier == "" {
				s.supplier = c.Supplier
			}
			continue
		}
		key := c.key()
		i, ok := groups[c.owner][key]
		if !ok {
			i = len(s.components)
			groups[c.owner][key] = i
			s.components = append(s.components, nil)
		}
		s.components[i] = append(s.components[i], c)
	}
	for _, s := range owners {
		slices.SortFunc(s.components, func(a, b []shown) int { return strings.Compare(a[0].key(), b[0].key()) })
	}
	return owners
}

// key tells releases apart; the same one in several files is one component.
func (c shown) key() string {
	if c.PURL != "" {
		return c.PURL
	}
	return c.Name + "@" + c.Version
}

// isOwner tells whether a component is the artefact that owns its file: by its
// purl, or because the file is a jar of the artefact's own name.
func isOwner(c shown) bool {
	if evidence.Same(c.PURL, c.owner) {
		return true
	}
	p, err := packageurl.FromString(c.owner)
	return err == nil && c.Whole && p.Type == packageurl.TypeMaven && strings.HasPrefix(path.Base(c.Path), p.Name+"-"+p.Version)
}

// Words of a component's evidence, which the conversion to CycloneDX reads
// back.
const (
	evidenceNote = "evidence, not an artefact of the lock: named by files of "
	evidentBy    = "evident by "
	goSum        = "go.sum: "
)

// components adds what the files of an owner show.
func (d *describer) components(owner *spdx.Package, s *seen, dropped []Dropped) {
	if s == nil {
		return
	}
	for _, group := range s.components {
		p := d.component(owner, group)
		p.PackageChecksums = released(d.view, group, dropped)
		inherited := !slices.ContainsFunc(group, func(c shown) bool { return !c.inherited })
		d.place(owner.PackageSPDXIdentifier, p, inherited)
		for _, c := range group {
			comment := evidentBy + string(c.Method)
			if c.Where != "" {
				comment += " of " + c.Where
			}
			id := p.PackageSPDXIdentifier
			d.relations = appendRelation(append(d.relations, ','), id, common.TypeRelationshipOther, fileID(c.Path), comment)
			if at := d.view.at[c.Path]; at.Type == rootfs.Regular {
				d.seen[id] = append(d.seen[id], seenAt{at.Path, comment})
			}
		}
	}
}

// component describes software that files show.
func (d *describer) component(owner *spdx.Package, group []shown) *spdx.Package {
	first := group[0]
	license, vendor := "", ""
	for _, c := range group {
		if license == "" {
			license = c.License
		}
		if vendor == "" {
			vendor = c.Supplier
		}
	}
	p := &spdx.Package{
		PackageName:               first.Name,
		PackageSPDXIdentifier:     packageID("seen", first.Name, owner.PackageName+" "+owner.PackageVersion+" "+first.key()),
		PackageVersion:            first.Version,
		PackageSupplier:           named(vendor, first.PURL),
		PackageDownloadLocation:   noAssertion,
		IsFilesAnalyzedTagPresent: true,
		PackageLicenseConcluded:   noAssertion,
		PackageLicenseDeclared:    d.licenses.expression(license),
		PackageCopyrightText:      noAssertion,
	}
	if first.PURL != "" {
		p.PackageExternalReferences = purlReference(first.PURL)
	}
	p.Annotations = append(p.Annotations, d.annotation(evidenceNote+strings.TrimSpace(owner.PackageName+" "+owner.PackageVersion)))
	if first.Sum != "" {
		p.Annotations = append(p.Annotations, d.annotation(goSum+first.Sum))
	}
	return p
}

// released is the checksum of a component that is a file as a whole, as it was
// released: before a recipe dropped something from it.
func released(v *view, group []shown, dropped []Dropped) []common.Checksum {
	var sums []common.Checksum
	for _, c := range group {
		if !c.Whole {
			continue
		}
		f := v.at[c.Path]
		mine := fileSums(f.SHA1, f.SHA256)
		for _, d := range dropped {
			archive, _, inside := strings.Cut(d.Path, "!/")
			if inside && d.Original != "" && strings.HasSuffix("/"+c.Path, "/"+archive) {
				mine = checksums(d.Original)
			}
		}
		if sums != nil && fmt.Sprint(sums) != fmt.Sprint(mine) {
			return nil // copies that differ
		}
		sums = mine
	}
	return sums
}
