package sbom

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/rootfs"
)

// Format changes whenever the same input gives other bytes; whoever keeps
// documents keeps it with them.
const Format = "4"

// SPDX writes the SPDX 2.3 document of an image as JSON:
// https://spdx.github.io/spdx-spec/v2.3/.
func SPDX(ctx context.Context, in Input) ([]byte, error) {
	document, _, err := write(ctx, in)
	return document, err
}

// Documents writes the SPDX document of an image, and what CycloneDX makes of
// it: the same bytes, without reading megabytes that were written a moment ago.
func Documents(ctx context.Context, in Input) (document, bom []byte, err error) {
	document, d, err := write(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	bom, err = d.cycloneDX(document)
	return document, bom, err
}

// write makes the document in two parts: what the library writes, then the
// files with their relationships.
func write(ctx context.Context, in Input) ([]byte, *describer, error) {
	wrong := func(err error) ([]byte, *describer, error) {
		return nil, nil, fmt.Errorf("SBOM of %s (%s): %w", in.Name, in.Platform, err)
	}
	d, err := describe(ctx, in)
	if err != nil {
		return wrong(err)
	}
	var buf bytes.Buffer
	// The library's own writer sets just this, but brings the graph database
	// of SPDX 3 into the command.
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d.doc); err != nil {
		return wrong(err)
	}
	data, ok := bytes.CutSuffix(bytes.TrimSpace(buf.Bytes()), []byte("}]}"))
	if !ok || !bytes.Contains(data, []byte(`"relationships":[`)) {
		return wrong(errors.New("the relationships are not the last part of the document"))
	}
	return slices.Concat(data, []byte("}"), d.relations, []byte(`],"files":[`), d.files, []byte("]}")), d, nil
}

func describe(ctx context.Context, in Input) (*describer, error) {
	d := &describer{in: in, licenses: newLicenses(), created: in.Created.UTC().Format(time.RFC3339), view: newView(in.Layers),
		listed: map[common.ElementID][]*Path{}, seen: map[common.ElementID][]seenAt{}}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
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
			"Files are listed under what brought them; directories and symbolic links are counted there. " +
			"Packages that an annotation calls evidence are named by files of the artefact that contains them, and were not chosen by the lock.",
	}
	d.image()
	d.system()
	if err := d.packages(); err != nil {
		return nil, err
	}
	d.doc.OtherLicenses = d.licenses.list()
	return d, nil
}

// namespace begins the URI of every document; it is a name, not an address.
const namespace = "https://github.com/shudl/shudl-assemble/spdx/"

// describer fills a document.
type describer struct {
	in       Input
	doc      *spdx.Document
	licenses *licenses
	created  string
	view     *view
	// files and relations are the elements that are written by hand: the
	// former with commas between them, the latter with one before each.
	files, relations []byte
	// listed and seen are the same once more, for CycloneDX.
	listed map[common.ElementID][]*Path
	seen   map[common.ElementID][]seenAt
}

// seenAt is a file that shows a component, and how.
type seenAt struct {
	*Path
	comment string
}

const (
	imageID common.ElementID = "Image"
	baseID  common.ElementID = "Base"
	// systemID is the distro that the image is made of.
	systemID common.ElementID = "OperatingSystem"
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

// system adds the distro, by which scanners choose their advisories.
func (d *describer) system() {
	in := d.in
	if in.Release == "" {
		return
	}
	d.doc.Packages = append(d.doc.Packages, &spdx.Package{
		PackageName:               string(in.Distro),
		PackageSPDXIdentifier:     systemID,
		PackageVersion:            strings.TrimPrefix(in.Release, "v"),
		PackageSupplier:           &common.Supplier{SupplierType: "Organization", Supplier: distroName(in.Distro)},
		PackageDownloadLocation:   noAssertion,
		IsFilesAnalyzedTagPresent: true,
		PackageLicenseConcluded:   noAssertion,
		PackageLicenseDeclared:    noAssertion,
		PackageCopyrightText:      noAssertion,
		PrimaryPackagePurpose:     "OPERATING-SYSTEM",
		PackageComment:            "The distribution whose packages the image is made of; the packages are listed one by one.",
	})
	d.relate(imageID, common.TypeRelationshipContains, systemID)
	if in.Base != nil {
		d.relate(baseID, common.TypeRelationshipContains, systemID)
	}
}

// packages adds every artefact, then every recipe entry that owns something,
// each with its files and with what these show.
func (d *describer) packages() error {
	owners, seen := d.view.byOwner(), d.evidence()
	d.reserve()
	dropped := map[string][]Dropped{}
	for _, path := range d.in.Dropped {
		dropped[path.Owner] = append(dropped[path.Owner], path)
	}
	artifacts := slices.SortedStableFunc(slices.Values(d.in.Artifacts), func(a, b Artifact) int {
		return cmp.Or(strings.Compare(a.PURL, b.PURL), strings.Compare(string(a.SHA256), string(b.SHA256)))
	})
	done := map[string]bool{}
	for _, a := range artifacts {
		if a.PURL == "" {
			return fmt.Errorf("artefact %s has no purl", a.Name)
		}
		if done[a.PURL] {
			continue // the same artefact in two layers
		}
		done[a.PURL] = true
		p := d.artifact(a, seen[a.PURL], owners[a.PURL])
		d.add(p, owners[a.PURL], dropped[a.PURL], a.Inherited)
		d.components(p, seen[a.PURL], dropped[a.PURL])
	}
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		if done[owner] {
			continue
		}
		p, err := d.owner(owner)
		if err != nil {
			return err
		}
		d.add(p, owners[owner], dropped[owner], owners[owner].inherited)
		d.components(p, seen[owner], dropped[owner])
	}
	return nil
}

// reserve makes room for all files, so that what is written is not copied as
// it grows.
func (d *describer) reserve() {
	files := 0
	for path, l := range d.view.at {
		if l.Type == rootfs.Regular {
			files += fileLength + len(path)
		}
	}
	d.files = make([]byte, 0, files)
	d.relations = make([]byte, 0, files/2)
}

// fileLength is about the length of a file in a document without its path, in
// bytes.
const fileLength = 340

func (d *describer) relate(a common.ElementID, relationship string, b common.ElementID) {
	d.doc.Relationships = append(d.doc.Relationships, &spdx.Relationship{
		RefA:         common.DocElementID{ElementRefID: a},
		RefB:         common.DocElementID{ElementRefID: b},
		Relationship: relationship,
	})
}
