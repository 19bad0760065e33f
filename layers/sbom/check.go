package sbom

import (
	"errors"
	"fmt"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/recipes"
)

// Expected is what is known of an image without looking into it.
type Expected struct {
	Digest recipes.Digest // of its manifest
	Base   recipes.Digest // of its parent's manifest; empty for a base
	// Artifacts are all that the lock has for it, its ancestors' included.
	Artifacts []recipes.Artifact
}

// ErrOther says that a document describes another image.
var ErrOther = errors.New("the SBOM describes another image")

// Check holds an SPDX document that another run made to what is known of the
// image: that it describes this manifest on this parent, that its packages
// with a checksum, those aside that are marked as evidence, are the locked
// artefacts, no more and no less, and that each file belongs to a package of
// the document. Whether the files are truly in the layers is not looked at.
// The error is ErrOther where the document is another image's.
func Check(document []byte, want Expected) error {
	doc, err := Parse(document)
	if err != nil {
		return err
	}
	image, err := Image(doc)
	if err != nil {
		return err
	}
	if got := sha256Of(image); got != want.Digest {
		return fmt.Errorf("%w: sha256:%s, not sha256:%s", ErrOther, got, want.Digest)
	}
	have := map[string]*spdx.Package{}
	var base recipes.Digest
	for _, p := range doc.Packages {
		switch p.PackageSPDXIdentifier {
		case image.PackageSPDXIdentifier:
		case baseID:
			base = sha256Of(p)
		default:
			if sum := sha256Of(p); sum != "" && evidenceOf(p) == "" {
				have[purlOf(p)+" "+string(sum)] = p
			}
		}
	}
	if base != want.Base {
		return fmt.Errorf("%w: its parent is %q there, not %q", ErrOther, base, want.Base)
	}
	if err := filesOwned(doc); err != nil {
		return err
	}
	return compareArtifacts(have, want.Artifacts)
}

// filesOwned says whether each file is contained in a package.
func filesOwned(doc *spdx.Document) error {
	packages := map[common.ElementID]bool{}
	for _, p := range doc.Packages {
		packages[p.PackageSPDXIdentifier] = true
	}
	owned := map[common.ElementID]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship == common.TypeRelationshipContains && packages[r.RefA.ElementRefID] {
			owned[r.RefB.ElementRefID] = true
		}
	}
	for _, f := range doc.Files {
		if !owned[f.FileSPDXIdentifier] {
			return fmt.Errorf("SPDX document: the file %s belongs to no package", f.FileName)
		}
	}
	return nil
}

func compareArtifacts(have map[string]*spdx.Package, locked []recipes.Artifact) error {
	known := map[string]bool{}
	sums := map[string]recipes.Digest{}
	for _, a := range locked {
		known[a.PURL+" "+string(a.SHA256)] = true
		if _, twice := sums[a.PURL]; !twice {
			sums[a.PURL] = a.SHA256
		}
	}
	for purl, sum := range sums {
		if have[purl+" "+string(sum)] == nil {
			return fmt.Errorf("%w: %s (sha256:%s) is locked for the image and not in the SBOM", ErrOther, purl, sum)
		}
	}
	for key, p := range have {
		if !known[key] {
			return fmt.Errorf("%w: it lists %s (sha256:%s), which is not locked for the image", ErrOther, p.PackageName, sha256Of(p))
		}
	}
	return nil
}

func sha256Of(p *spdx.Package) recipes.Digest {
	for _, sum := range p.PackageChecksums {
		if sum.Algorithm == common.SHA256 {
			return recipes.Digest(sum.Value)
		}
	}
	return ""
}

func purlOf(p *spdx.Package) string {
	for _, ref := range p.PackageExternalReferences {
		if ref.RefType == common.TypePackageManagerPURL {
			return ref.Locator
		}
	}
	return ""
}
