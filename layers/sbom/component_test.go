package sbom_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

func packageOf(t *testing.T, doc *spdx.Document, name string) *spdx.Package {
	t.Helper()
	i := slices.IndexFunc(doc.Packages, func(p *spdx.Package) bool { return p.PackageName == name })
	if i < 0 {
		t.Fatalf("no package %s", name)
	}
	return doc.Packages[i]
}

func related(doc *spdx.Document, from *spdx.Package, relationship string) []string {
	var to []string
	for _, r := range doc.Relationships {
		if r.RefA.ElementRefID == from.PackageSPDXIdentifier && r.Relationship == relationship {
			to = append(to, string(r.RefB.ElementRefID)+" "+r.RelationshipComment)
		}
	}
	return to
}

func says(p *spdx.Package, text string) bool {
	return slices.ContainsFunc(p.Annotations, func(a spdx.Annotation) bool { return strings.HasPrefix(a.AnnotationComment, text) })
}

// What files show is listed inside their artefact, marked, and bound to them.
func TestEvidence(t *testing.T) {
	_, doc := describe(t, input(t, postgresql()))
	owner, guava := packageOf(t, doc, "org.example:exporter"), packageOf(t, doc, "com.google.guava:guava")
	if !slices.Contains(related(doc, owner, common.TypeRelationshipContains), string(guava.PackageSPDXIdentifier)+" ") {
		t.Error("the artefact does not contain what is in its jar")
	}
	seen := related(doc, guava, common.TypeRelationshipOther)
	if len(seen) != 1 || !strings.HasSuffix(seen[0], "evident by manifest-analysis of META-INF/maven/com.google.guava/guava/pom.properties") {
		t.Errorf("seen in %q", seen)
	}
	if !says(guava, "evidence, not an artefact of the lock: named by files of org.example:exporter 1.2") || guava.FilesAnalyzed || len(guava.PackageChecksums) > 0 {
		t.Errorf("%+v", guava)
	}
	if module := packageOf(t, doc, "golang.org/x/sys"); !says(module, "go.sum: h1:abc=") || module.PackageLicenseDeclared != "BSD-3-Clause" {
		t.Errorf("%+v", module)
	}
	// A jar whose coordinates nobody says has a name, and no purl.
	with := packageOf(t, doc, "with")
	if len(with.PackageExternalReferences) > 0 || with.PackageVersion != "1.0" || with.PackageLicenseDeclared != "MIT" || with.PackageSupplier.Supplier != "With Ltd" ||
		with.PackageChecksums[1].Value != string(digest("with")) {
		t.Errorf("%+v", with)
	}
	// What a jar says of its own artefact is the artefact's, and no second one.
	n := 0
	for _, p := range doc.Packages {
		if p.PackageName == "org.example:exporter" {
			n++
		}
	}
	if n != 1 || owner.PackageLicenseDeclared != "Apache-2.0" || owner.PackageSupplier.Supplier != "The Example Project" {
		t.Errorf("%d times, %+v", n, owner)
	}
}

// A layer above takes a file away, and what it showed with it.
func TestEvidenceOfFilesThatAreGone(t *testing.T) {
	w := postgresql()
	w.layers = append(w.layers, layer{entries: append(w.layers[2].entries[:0:0], file("opt/exporter.jar", "recipe:postgresql/entrypoint/files/x", "text"))})
	_, doc := describe(t, input(t, w))
	for _, p := range doc.Packages {
		if p.PackageName == "com.google.guava:guava" {
			t.Error("guava went with its jar")
		}
	}
}

// The checksum of a jar that lost natives is that of its release.
func TestReleasedChecksum(t *testing.T) {
	w := postgresql()
	w.Dropped = append(w.Dropped, sbom.Dropped{Owner: exporter, Path: "lib/with-1.0.jar!/x.dll", Reason: "another platform", Original: digest("with before")})
	_, doc := describe(t, input(t, w))
	with := packageOf(t, doc, "with")
	if len(with.PackageChecksums) != 1 || with.PackageChecksums[0].Value != string(digest("with before")) {
		t.Errorf("%+v", with.PackageChecksums)
	}
}

// A copyright file says more than the lock, wherever a link leads to it.
func TestLicenceOfTheCopyrightFile(t *testing.T) {
	_, doc := describe(t, input(t, postgresql()))
	p := packageOf(t, doc, "libc6")
	if p.PackageLicenseDeclared != "LGPL-2.1-or-later AND LicenseRef-glibc-permissive" || p.PackageLicenseComments == "" {
		t.Errorf("%s (%s)", p.PackageLicenseDeclared, p.PackageLicenseComments)
	}
	i := slices.IndexFunc(doc.OtherLicenses, func(l *spdx.OtherLicense) bool { return l.LicenseIdentifier == "LicenseRef-glibc-permissive" })
	if i < 0 || doc.OtherLicenses[i].ExtractedText != "Do as you like." {
		t.Errorf("%+v", doc.OtherLicenses)
	}
}

// The licence file nearest to the root counts where nothing else says more.
func TestLicenceFile(t *testing.T) {
	w := postgresql()
	l := &w.layers[1]
	l.files = l.files[:0]
	for path, id := range map[string]string{"opt/LICENSE": "MPL-2.0", "opt/lib/x/LICENSE": "MIT"} {
		l.entries = append(l.entries, file(path, exporter, id))
		l.files = append(l.files, evidence.File{Path: path, Facts: evidence.Facts{License: id}})
	}
	_, doc := describe(t, input(t, w))
	if got := packageOf(t, doc, "org.example:exporter").PackageLicenseDeclared; got != "MPL-2.0" {
		t.Error(got)
	}
}

func TestTeamsAndPersons(t *testing.T) {
	w := postgresql()
	w.layers[1].files[0].Facts.Parts = append(w.layers[1].files[0].Facts.Parts,
		evidence.Part{Type: "pypi", Name: "a", Version: "1", Supplier: "Hugo van Kemenade"}, evidence.Part{Type: "pypi", Name: "b", Version: "1", Supplier: "Spark Developers"})
	_, doc := describe(t, input(t, w))
	if a, b := packageOf(t, doc, "a").PackageSupplier.SupplierType, packageOf(t, doc, "b").PackageSupplier.SupplierType; a != "Person" || b != "Organization" {
		t.Errorf("%s, %s", a, b)
	}
}
