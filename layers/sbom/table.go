package sbom

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// Parse reads an SPDX 2.3 document from JSON.
func Parse(document []byte) (*spdx.Document, error) {
	var doc spdx.Document
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("SPDX document: %w", err)
	}
	if doc.SPDXVersion != spdx.Version || doc.DocumentNamespace == "" || len(doc.Packages) == 0 {
		return nil, fmt.Errorf("SPDX document: version %q, namespace %q, %d packages: not an SBOM of ours",
			doc.SPDXVersion, doc.DocumentNamespace, len(doc.Packages))
	}
	return &doc, nil
}

// Image returns the package of the document that is the image.
func Image(doc *spdx.Document) (*spdx.Package, error) {
	var found *spdx.Package
	for _, r := range doc.Relationships {
		if r.RefA.ElementRefID != doc.SPDXIdentifier || r.Relationship != common.TypeRelationshipDescribe {
			continue
		}
		for _, p := range doc.Packages {
			if p.PackageSPDXIdentifier == r.RefB.ElementRefID {
				if found != nil {
					return nil, fmt.Errorf("SPDX document: describes more than one package")
				}
				found = p
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("SPDX document: describes no package")
	}
	return found, nil
}

// Table writes the packages of a document as a table.
func Table(w io.Writer, document []byte) error {
	doc, err := Parse(document)
	if err != nil {
		return err
	}
	files := map[common.ElementID]int{}
	inherited := map[common.ElementID]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship != common.TypeRelationshipContains {
			continue
		}
		if strings.HasPrefix(string(r.RefB.ElementRefID), "File-") {
			files[r.RefA.ElementRefID]++
		} else if r.RefA.ElementRefID == baseID {
			inherited[r.RefB.ElementRefID] = true
		}
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tVERSION\tTYPE\tLICENCE\tFILES\tFROM")
	for _, p := range doc.Packages {
		if p.PackageSPDXIdentifier == imageID || p.PackageSPDXIdentifier == baseID {
			continue
		}
		from := "own"
		if inherited[p.PackageSPDXIdentifier] {
			from = "base"
		}
		if owner := evidenceOf(p); owner != "" {
			from += ", seen in " + owner
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", p.PackageName, p.PackageVersion, kindOf(p),
			shorten(p.PackageLicenseDeclared), files[p.PackageSPDXIdentifier], from)
	}
	return t.Flush()
}

// shorten keeps a column narrow; the document has the whole.
func shorten(s string) string {
	const width = 40
	if len(s) <= width {
		return s
	}
	return s[:width-1] + "…"
}

// evidenceOf names the package whose files show this one; empty for what was
// put in as such.
func evidenceOf(p *spdx.Package) string {
	for _, a := range p.Annotations {
		if owner, ok := strings.CutPrefix(a.AnnotationComment, evidenceNote); ok {
			return owner
		}
	}
	return ""
}

// kindOf is the type of a package's purl; else system, recipe, or jar for one
// whose coordinates are not known.
func kindOf(p *spdx.Package) string {
	for _, ref := range p.PackageExternalReferences {
		if rest, ok := strings.CutPrefix(ref.Locator, "pkg:"); ok {
			kind, _, _ := strings.Cut(rest, "/")
			return kind
		}
	}
	switch {
	case p.PackageSPDXIdentifier == systemID:
		return "system"
	case evidenceOf(p) != "":
		return "jar"
	}
	return "recipe"
}
