package sbom

import (
	"bytes"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// CycloneDX says what an SPDX document of ours says as a CycloneDX 1.6 BOM in
// JSON (https://cyclonedx.org/docs/1.6/json/). CycloneDX has no relation from
// a file to what brought it: files are nested in their owner's component.
func CycloneDX(document []byte) ([]byte, error) {
	doc, err := Parse(document)
	if err != nil {
		return nil, err
	}
	image, err := Image(doc)
	if err != nil {
		return nil, err
	}
	c := converter{contents: contents(doc)}
	bom := cdx.NewBOM()
	// The same image has the same number: it comes from the document's name.
	bom.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(doc.DocumentNamespace)).String()
	root := c.component(image)
	root.Type = cdx.ComponentTypeContainer
	bom.Metadata = &cdx.Metadata{
		Timestamp: doc.CreationInfo.Created,
		Tools:     tools(doc),
		Component: &root,
	}
	var components []cdx.Component
	dependencies := []string{}
	for _, p := range doc.Packages {
		if p == image {
			continue
		}
		one := c.component(p)
		if p.PackageSPDXIdentifier == baseID {
			root.Pedigree = &cdx.Pedigree{Ancestors: &[]cdx.Component{one}}
			continue
		}
		components = append(components, one)
		dependencies = append(dependencies, one.BOMRef)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: root.BOMRef, Dependencies: &dependencies}}
	var buf bytes.Buffer
	if err := cdx.NewBOMEncoder(&buf, cdx.BOMFileFormatJSON).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("CycloneDX document: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func tools(doc *spdx.Document) *cdx.ToolsChoice {
	var components []cdx.Component
	for _, creator := range doc.CreationInfo.Creators {
		if version, ok := strings.CutPrefix(creator.Creator, "shudl-assemble-"); ok && creator.CreatorType == "Tool" {
			components = append(components, cdx.Component{
				Type: cdx.ComponentTypeApplication, Name: "shudl-assemble", Version: version,
			})
		}
	}
	return &cdx.ToolsChoice{Components: &components}
}

// content is what an SPDX element contains.
type content struct {
	files     map[common.ElementID][]*spdx.File
	inherited map[common.ElementID]bool
}

func contents(doc *spdx.Document) content {
	byID := make(map[common.ElementID]*spdx.File, len(doc.Files))
	for _, f := range doc.Files {
		byID[f.FileSPDXIdentifier] = f
	}
	c := content{files: map[common.ElementID][]*spdx.File{}, inherited: map[common.ElementID]bool{}}
	for _, r := range doc.Relationships {
		if r.Relationship != common.TypeRelationshipContains {
			continue
		}
		owner, part := r.RefA.ElementRefID, r.RefB.ElementRefID
		if f, ok := byID[part]; ok {
			c.files[owner] = append(c.files[owner], f)
		} else if owner == baseID {
			c.inherited[part] = true
		}
	}
	return c
}

type converter struct{ contents content }

func (c converter) component(p *spdx.Package) cdx.Component {
	component := cdx.Component{
		BOMRef:  string(p.PackageSPDXIdentifier),
		Type:    cdx.ComponentTypeLibrary,
		Name:    p.PackageName,
		Version: p.PackageVersion,
		Hashes:  hashes(p.PackageChecksums),
	}
	if p.PrimaryPackagePurpose == "CONTAINER" {
		component.Type = cdx.ComponentTypeContainer
	}
	for _, ref := range p.PackageExternalReferences {
		if ref.RefType == common.TypePackageManagerPURL {
			component.PackageURL = ref.Locator
		}
	}
	if s := p.PackageSupplier; s != nil && s.Supplier != noAssertion {
		component.Supplier = &cdx.OrganizationalEntity{Name: s.Supplier}
	}
	if l := p.PackageLicenseDeclared; l != "" && l != noAssertion {
		component.Licenses = &cdx.Licenses{{Expression: l}}
	}
	component.Properties = c.properties(p)
	component.Components = fileComponents(c.contents.files[p.PackageSPDXIdentifier])
	return component
}

// properties carry what CycloneDX has no field for.
func (c converter) properties(p *spdx.Package) *[]cdx.Property {
	var properties []cdx.Property
	if c.contents.inherited[p.PackageSPDXIdentifier] {
		properties = append(properties, cdx.Property{Name: "shudl:inherited", Value: "true"})
	}
	if p.PackageSourceInfo != "" {
		properties = append(properties, cdx.Property{Name: "shudl:source", Value: p.PackageSourceInfo})
	}
	for _, a := range p.Annotations {
		if strings.HasPrefix(a.AnnotationComment, leftOut) {
			properties = append(properties, cdx.Property{Name: "shudl:left-out", Value: a.AnnotationComment})
		}
	}
	if len(properties) == 0 {
		return nil
	}
	return &properties
}

func fileComponents(files []*spdx.File) *[]cdx.Component {
	if len(files) == 0 {
		return nil
	}
	components := make([]cdx.Component, 0, len(files))
	for _, f := range files {
		components = append(components, cdx.Component{
			BOMRef: string(f.FileSPDXIdentifier),
			Type:   cdx.ComponentTypeFile,
			Name:   strings.TrimPrefix(f.FileName, "."),
			Hashes: hashes(f.Checksums),
		})
	}
	return &components
}

func hashes(sums []common.Checksum) *[]cdx.Hash {
	var list []cdx.Hash
	for _, sum := range sums {
		switch sum.Algorithm {
		case common.SHA1:
			list = append(list, cdx.Hash{Algorithm: cdx.HashAlgoSHA1, Value: sum.Value})
		case common.SHA256:
			list = append(list, cdx.Hash{Algorithm: cdx.HashAlgoSHA256, Value: sum.Value})
		}
	}
	if list == nil {
		return nil
	}
	return &list
}
