package sbom

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// Format changes whenever the same input gives other bytes; whoever keeps
// documents keeps it with them.
const Format = "spdx-3"

// SPDX writes the SPDX 2.3 document of an image as JSON:
// https://spdx.github.io/spdx-spec/v2.3/.
func SPDX(ctx context.Context, in Input) ([]byte, error) {
	doc, err := document(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("SBOM of %s (%s): %w", in.Name, in.Platform, err)
	}
	var buf bytes.Buffer
	if err := spdxjson.Write(doc, &buf, spdxjson.EscapeHTML(false)); err != nil {
		return nil, fmt.Errorf("SBOM of %s (%s): %w", in.Name, in.Platform, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func document(ctx context.Context, in Input) (*spdx.Document, error) {
	owners, err := byOwner(in.Layers)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := &describer{in: in, licenses: newLicenses(), created: in.Created.UTC().Format(time.RFC3339)}
	d.doc = &spdx.Document{
		SPDXVersion:       spdx.Version,
		DataLicense:       spdx.DataLicense,
		SPDXIdentifier:    "DOCUMENT",
		DocumentName:      in.Name + "-" + in.Version + "-" + string(in.Distro) + "-" + arch(in.Platform),
		DocumentNamespace: namespace + in.Name + "/sha256-" + string(in.Digest) + "/" + in.Tool,
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "shudl-assemble-" + in.Tool}},
			Created:  d.created,
		},
		DocumentComment: "Made from the locked artefacts and recipe entries that the image was assembled from. " +
			"Files are listed under what brought them; directories and symbolic links are counted there.",
	}
	d.image()
	if err := d.packages(owners); err != nil {
		return nil, err
	}
	d.doc.OtherLicenses = d.licenses.list()
	return d.doc, nil
}

// namespace begins the URI of every document; it is a name, not an address.
const namespace = "https://github.com/shudl/shudl-assemble/spdx/"

// describer fills a document.
type describer struct {
	in       Input
	doc      *spdx.Document
	licenses *licenses
	created  string
}

const (
	imageID common.ElementID = "Image"
	baseID  common.ElementID = "Base"
)

// image adds the image itself and its parent.
func (d *describer) image() {
	in := d.in
	d.doc.Packages = append(d.doc.Packages, &spdx.Package{
		PackageName:               in.Name,
		PackageSPDXIdentifier:     imageID,
		PackageVersion:            in.Version,
		PackageDownloadLocation:   noAssertion,
		IsFilesAnalyzedTagPresent: true,
		PackageChecksums:          checksums(in.Digest),
		PackageLicenseConcluded:   noAssertion,
		PackageLicenseDeclared:    noAssertion,
		PackageCopyrightText:      noAssertion,
		PackageExternalReferences: purlReference(imagePURL(in.Name, in.Digest, in.Platform, in.Tag)),
		PrimaryPackagePurpose:     "CONTAINER",
	})
	d.relate("DOCUMENT", common.TypeRelationshipDescribe, imageID)
	if in.Base == nil {
		return
	}
	d.doc.Packages = append(d.doc.Packages, &spdx.Package{
		PackageName:               in.Base.Name,
		PackageSPDXIdentifier:     baseID,
		PackageVersion:            in.Base.Version,
		PackageDownloadLocation:   noAssertion,
		IsFilesAnalyzedTagPresent: true,
		PackageChecksums:          checksums(in.Base.Digest),
		PackageLicenseConcluded:   noAssertion,
		PackageLicenseDeclared:    noAssertion,
		PackageCopyrightText:      noAssertion,
		PackageExternalReferences: purlReference(imagePURL(in.Base.Name, in.Base.Digest, in.Platform, "")),
		PrimaryPackagePurpose:     "CONTAINER",
		PackageComment:            "The parent image: its layers are the first layers of " + in.Name + ".",
	})
	d.relate(imageID, common.TypeRelationshipDescendantOf, baseID)
}

// packages adds every artefact, then every recipe entry that owns something,
// each with its files.
func (d *describer) packages(owners map[string]*owned) error {
	dropped := map[string][]Dropped{}
	for _, path := range d.in.Dropped {
		dropped[path.Owner] = append(dropped[path.Owner], path)
	}
	artifacts := append([]Artifact(nil), d.in.Artifacts...)
	sort.SliceStable(artifacts, func(i, j int) bool {
		a, b := artifacts[i], artifacts[j]
		if a.PURL != b.PURL {
			return a.PURL < b.PURL
		}
		return a.SHA256 < b.SHA256
	})
	seen := map[string]bool{}
	for _, a := range artifacts {
		if a.PURL == "" {
			return fmt.Errorf("artefact %s has no purl", a.Name)
		}
		if seen[a.PURL] {
			continue // the same artefact in two layers
		}
		seen[a.PURL] = true
		if err := d.add(d.artifact(a), owners[a.PURL], dropped[a.PURL], a.Inherited); err != nil {
			return err
		}
	}
	rest := make([]string, 0, len(owners))
	for owner := range owners {
		if !seen[owner] {
			rest = append(rest, owner)
		}
	}
	sort.Strings(rest)
	for _, owner := range rest {
		o := owners[owner]
		pkg, err := d.owner(owner)
		if err != nil {
			return err
		}
		if err := d.add(pkg, o, dropped[owner], o.inherited); err != nil {
			return err
		}
	}
	return nil
}

func (d *describer) relate(a common.ElementID, relationship string, b common.ElementID) {
	d.doc.Relationships = append(d.doc.Relationships, &spdx.Relationship{
		RefA:         common.DocElementID{ElementRefID: a},
		RefB:         common.DocElementID{ElementRefID: b},
		Relationship: relationship,
	})
}
