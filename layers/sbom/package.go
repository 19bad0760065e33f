package sbom

import (
	"fmt"
	"net/url"
	"regexp"
	"sort"
	"strings"

	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/utils"

	"github.com/shudl/shudl-assemble/recipes"
)

// artifact describes one locked artefact.
func (d *describer) artifact(a Artifact) *spdx.Package {
	declared := a.License
	if declared == "" {
		declared = a.Artifact.License
	}
	p := &spdx.Package{
		PackageName:               a.Name,
		PackageSPDXIdentifier:     packageID(string(a.Kind), a.Name, a.PURL),
		PackageVersion:            a.Version,
		PackageSupplier:           supplier(a, d.in.Distro),
		PackageDownloadLocation:   noAssertion,
		PackageChecksums:          checksums(a.SHA256),
		PackageLicenseConcluded:   noAssertion,
		PackageLicenseDeclared:    d.licenses.expression(declared),
		PackageCopyrightText:      noAssertion,
		PackageExternalReferences: purlReference(a.PURL),
	}
	if a.Path != "" {
		p.PackageFileName = a.Path[strings.LastIndex(a.Path, "/")+1:]
	}
	if a.URL != "" && !hasSecret(a.URL) {
		p.PackageDownloadLocation = a.URL // the recipe's own words, not a mirror
	}
	if a.Origin != "" {
		p.PackageSourceInfo = "built from the source package " + a.Origin
	}
	return p
}

func hasSecret(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.User != nil || u.Scheme != "https" && u.Scheme != "http"
}

// supplier is the distro for its packages, else what the driver knows.
func supplier(a Artifact, distro recipes.Distro) *common.Supplier {
	name := a.Supplier
	switch {
	case name != "":
	case a.Kind == recipes.KindDeb:
		name = "Debian"
	case a.Kind == recipes.KindAPK, a.Kind == recipes.KindTarball && distro == recipes.Alpine && a.Archive == "alpine":
		name = "Alpine Linux"
	default:
		return &common.Supplier{Supplier: noAssertion}
	}
	return &common.Supplier{SupplierType: "Organization", Supplier: name}
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
func (d *describer) add(p *spdx.Package, o *owned, dropped []Dropped, inherited bool) error {
	p.IsFilesAnalyzedTagPresent = true
	if o != nil && len(o.files) > 0 {
		code, err := utils.GetVerificationCode(o.files, "")
		if err != nil {
			return fmt.Errorf("%s: %w", p.PackageName, err)
		}
		p.FilesAnalyzed = true
		p.PackageVerificationCode = &code
		p.PackageLicenseInfoFromFiles = []string{noAssertion}
	}
	if o != nil && o.links+o.directories > 0 {
		p.PackageComment = fmt.Sprintf("Not listed as files: symbolic links %d, directories %d.", o.links, o.directories)
	}
	if inherited && d.in.Base != nil {
		p.Annotations = append(p.Annotations, d.annotation("inherited from "+d.in.Base.Name))
	}
	p.Annotations = append(p.Annotations, d.droppedAnnotations(dropped)...)
	d.doc.Packages = append(d.doc.Packages, p)
	d.relate(imageID, common.TypeRelationshipContains, p.PackageSPDXIdentifier)
	if inherited && d.in.Base != nil {
		d.relate(baseID, common.TypeRelationshipContains, p.PackageSPDXIdentifier)
	}
	if o == nil {
		return nil
	}
	for _, f := range o.files {
		d.doc.Files = append(d.doc.Files, f)
		d.relate(p.PackageSPDXIdentifier, common.TypeRelationshipContains, f.FileSPDXIdentifier)
	}
	return nil
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
		comments = append(comments, fmt.Sprintf(leftOut+" (%s): %d paths%s: %s",
			g.reason, len(paths), where, strings.Join(paths, ", ")))
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

var notID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// packageID names a package in the document, readable and unique.
func packageID(kind, name, unique string) common.ElementID {
	readable := strings.Trim(notID.ReplaceAllString(name, "-"), "-")
	if len(readable) > 60 {
		readable = readable[:60]
	}
	return common.ElementID("Package-" + kind + "-" + readable + "-" + fingerprint(unique)[:12])
}
