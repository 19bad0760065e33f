package sbom

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"sort"
	"strings"

	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/recipes"
)

// artifact describes one locked artefact.
func (d *describer) artifact(a Artifact, seen *seen, o *owned) *spdx.Package {
	p := &spdx.Package{
		PackageName:               a.Name,
		PackageSPDXIdentifier:     packageID(string(a.Kind), a.Name, a.PURL),
		PackageVersion:            a.Version,
		PackageSupplier:           supplier(a, d.in.Distro, seen),
		PackageDownloadLocation:   noAssertion,
		PackageChecksums:          checksums(a.SHA256),
		PackageLicenseConcluded:   noAssertion,
		PackageCopyrightText:      noAssertion,
		PackageExternalReferences: purlReference(a.PURL),
	}
	p.PackageLicenseDeclared, p.PackageLicenseComments = d.license(a, seen, o)
	if a.Path != "" {
		p.PackageFileName = a.Path[strings.LastIndex(a.Path, "/")+1:]
	}
	if a.URL != "" && !hasSecret(a.URL) {
		p.PackageDownloadLocation = a.URL // the recipe's own words, not a mirror
	}
	if a.Origin != "" {
		p.PackageSourceInfo = "built from the source package " + a.Origin
	}
	if a.Checksum != "" && a.Kind == recipes.KindGo {
		p.Annotations = append(p.Annotations, d.annotation(goSum+a.Checksum))
	}
	return p
}

// license is what an artefact declares: what its own copyright file says, then
// the lock, then what its files say of themselves.
func (d *describer) license(a Artifact, seen *seen, o *owned) (expression, comment string) {
	if a.Kind == recipes.KindDeb {
		if s, ok := d.view.stated("usr/share/doc/" + a.Name + "/copyright"); ok {
			if s.FreeForm {
				comment = freeFormComment
			}
			return d.licenses.stated(s, cmp.Or(a.Origin, a.Name)), comment
		}
	}
	if e := d.licenses.expression(a.License); e != noAssertion {
		return e, ""
	}
	if seen != nil && seen.license != "" {
		return d.licenses.expression(seen.license), ""
	}
	return d.licenses.expression(d.licenseFile(o)), ""
}

// freeFormComment warns of a licence that was read in prose.
const freeFormComment = "The copyright file is in free form: these licences were recognised by their texts and by " +
	"references to common-licenses, and the file itself counts."

// licenseFile is what the licence file nearest to the root says, of those that
// an owner has.
func (d *describer) licenseFile(o *owned) string {
	best, license := "", ""
	if o == nil {
		return license
	}
	for _, f := range o.files {
		s, ok := d.view.stated(f.Path)
		if ok && path.Base(f.Path) != "copyright" && (best == "" || strings.Count(f.Path, "/") < strings.Count(best, "/")) {
			best, license = f.Path, s.License
		}
	}
	return license
}

func hasSecret(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.User != nil || u.Scheme != "https" && u.Scheme != "http"
}

// supplier is who the recipe says, the distro for its packages, else who the
// artefact's own files name.
func supplier(a Artifact, distro recipes.Distro, seen *seen) *common.Supplier {
	switch {
	case a.Supplier != "":
		return &common.Supplier{SupplierType: "Organization", Supplier: a.Supplier}
	case a.Kind == recipes.KindDeb:
		return &common.Supplier{SupplierType: "Organization", Supplier: distroName(recipes.Debian)}
	case a.Kind == recipes.KindAPK, a.Kind == recipes.KindTarball && distro == recipes.Alpine && a.Archive == "alpine":
		return &common.Supplier{SupplierType: "Organization", Supplier: distroName(recipes.Alpine)}
	case seen != nil:
		return named(seen.supplier, a.PURL)
	}
	return named("", "")
}

func distroName(d recipes.Distro) string {
	if d == recipes.Alpine {
		return "Alpine Linux"
	}
	return "Debian"
}

// organization are the words that tell a team from a person.
var organization = recipes.NewPattern(`(?i)\b(foundation|inc|ltd|llc|gmbh|corp|corporation|team|project|developers|authors|contributors|group|community|company|software|labs?)\b`)

// named is a supplier by the name that metadata gives. Only Python's tells
// authors, who are persons as a rule; the others name vendors.
func named(name, purl string) *common.Supplier {
	if name == "" {
		return &common.Supplier{Supplier: noAssertion}
	}
	kind := "Organization"
	if strings.HasPrefix(purl, "pkg:pypi/") && !organization.MatchString(name) && !strings.Contains(name, ",") {
		kind = "Person"
	}
	return &common.Supplier{SupplierType: kind, Supplier: name}
}

// owner describes what owns files and is no locked artefact: a recipe entry,
// or a package that came inside a root file system.
func (d *describer) owner(owner string) (*spdx.Package, error) {
	p := &spdx.Package{
		PackageSupplier:         &common.Supplier{Supplier: noAssertion},
		PackageDownloadLocation: noAssertion,
		PackageLicenseConcluded: noAssertion,
		PackageLicenseDeclared:  noAssertion,
		PackageCopyrightText:    noAssertion,
	}
	if entry, ok := strings.CutPrefix(owner, "recipe:"); ok {
		p.PackageName = owner
		p.PackageSPDXIdentifier = packageID("recipe", entry, owner)
		p.PackageSourceInfo = "made by an entry of the image's recipe: " + entry
		return p, nil
	}
	purl, err := packageurl.FromString(owner)
	if err != nil {
		return nil, fmt.Errorf("owner %q is neither a purl nor a recipe entry: %w", owner, err)
	}
	p.PackageName = purl.Name
	p.PackageSPDXIdentifier = packageID(purl.Type, purl.Name, owner)
	p.PackageVersion = purl.Version
	p.PackageExternalReferences = purlReference(owner)
	return p, nil
}

// add puts a package into the document with its files, what is known of its
// other paths, and what was left out of it.
func (d *describer) add(p *spdx.Package, o *owned, dropped []Dropped, inherited bool) {
	p.IsFilesAnalyzedTagPresent = true
	if o != nil && len(o.files) > 0 {
		p.FilesAnalyzed = true
		p.PackageVerificationCode = verificationCode(o.files)
		p.PackageLicenseInfoFromFiles = []string{noAssertion}
	}
	if o != nil && o.links+o.directories > 0 {
		p.PackageComment = fmt.Sprintf("Not listed as files: symbolic links %d, directories %d.", o.links, o.directories)
	}
	d.place(imageID, p, inherited)
	p.Annotations = append(p.Annotations, d.droppedAnnotations(dropped)...)
	if o == nil {
		return
	}
	d.listed[p.PackageSPDXIdentifier] = o.files
	for _, f := range o.files {
		if len(d.files) > 0 {
			d.files = append(d.files, ',')
		}
		d.files = appendFile(d.files, f)
		d.relations = appendRelation(append(d.relations, ','), p.PackageSPDXIdentifier, common.TypeRelationshipContains, f.ID, "")
	}
}

// place puts a package into what contains it, and into the parent image where
// it came with that.
func (d *describer) place(in common.ElementID, p *spdx.Package, inherited bool) {
	d.doc.Packages = append(d.doc.Packages, p)
	d.relate(in, common.TypeRelationshipContains, p.PackageSPDXIdentifier)
	if inherited && d.in.Base != nil {
		p.Annotations = append(p.Annotations, d.annotation("inherited from "+d.in.Base.Name))
		d.relate(baseID, common.TypeRelationshipContains, p.PackageSPDXIdentifier)
	}
}

func (d *describer) annotation(comment string) spdx.Annotation {
	return spdx.Annotation{
		Annotator:         common.Annotator{AnnotatorType: "Tool", Annotator: "shudl-assemble-" + d.in.Tool},
		AnnotationDate:    d.created,
		AnnotationType:    "OTHER",
		AnnotationComment: comment,
	}
}

// leftOut begins every annotation that tells of what a recipe dropped.
const leftOut = "left out by the recipe"

// droppedAnnotations says, once for each reason, what a recipe left out.
func (d *describer) droppedAnnotations(dropped []Dropped) []spdx.Annotation {
	type group struct{ reason, archive string }
	byReason := map[group][]string{}
	for _, x := range dropped {
		g := group{reason: x.Reason}
		path := x.Path
		if archive, _, inside := strings.Cut(x.Path, "!/"); inside && x.Original != "" {
			g.archive = archive + " (sha256:" + string(x.Original) + " before)"
		}
		if x.SHA256 != "" {
			path += " sha256:" + string(x.SHA256)
		}
		byReason[g] = append(byReason[g], path)
	}
	comments := make([]string, 0, len(byReason))
	for g, paths := range byReason {
		sort.Strings(paths)
		where := ""
		if g.archive != "" {
			where = " of " + g.archive
		}
		n := "1 path"
		if len(paths) > 1 {
			n = fmt.Sprintf("%d paths", len(paths))
		}
		comments = append(comments, fmt.Sprintf(leftOut+" (%s): %s%s: %s", g.reason, n, where, strings.Join(paths, ", ")))
	}
	sort.Strings(comments)
	annotations := make([]spdx.Annotation, 0, len(comments))
	for _, comment := range comments {
		annotations = append(annotations, d.annotation(comment))
	}
	return annotations
}

func checksums(sha256 recipes.Digest) []common.Checksum {
	if sha256 == "" {
		return nil
	}
	return []common.Checksum{{Algorithm: common.SHA256, Value: string(sha256)}}
}

func purlReference(purl string) []*spdx.PackageExternalReference {
	return []*spdx.PackageExternalReference{{
		Category: common.CategoryPackageManager,
		RefType:  common.TypePackageManagerPURL,
		Locator:  purl,
	}}
}

// imagePURL names an image:
// https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md.
func imagePURL(name string, digest recipes.Digest, platform recipes.Platform, tag string) string {
	qualifiers := map[string]string{"arch": arch(platform)}
	if tag != "" {
		qualifiers["tag"] = tag
	}
	return packageurl.NewPackageURL("oci", "", name, "sha256:"+string(digest),
		packageurl.QualifiersFromMap(qualifiers), "").ToString()
}

func arch(p recipes.Platform) string {
	_, arch, _ := strings.Cut(string(p), "/")
	return arch
}

var notID = recipes.NewPattern(`[^A-Za-z0-9.-]+`)

// packageID names a package in the document, readable and unique.
func packageID(kind, name, unique string) common.ElementID {
	readable := strings.Trim(notID.ReplaceAllString(name, "-"), "-")
	if len(readable) > 60 {
		readable = readable[:60]
	}
	return common.ElementID("Package-" + kind + "-" + readable + "-" + fingerprint(unique)[:12])
}
