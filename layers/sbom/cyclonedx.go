package sbom

import (
	"bytes"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

// CycloneDX says what an SPDX document of ours says as a CycloneDX 1.6 BOM in
// JSON (https://cyclonedx.org/docs/1.6/json/). CycloneDX has no relation from
// a file to what brought it: files are nested in their owner's component.
func CycloneDX(document []byte) ([]byte, error) {
	doc, err := Parse(document)
	if err != nil {
		return nil, err
	}
	c := newConverter(doc)
	c.addFiles(doc)
	return c.write(doc)
}

// write writes the BOM of what the converter knows of a document.
func (c *converter) write(doc *spdx.Document) ([]byte, error) {
	image, err := Image(doc)
	if err != nil {
		return nil, err
	}
	bom := cdx.NewBOM()
	// The same image has the same number: it comes from the document's name.
	bom.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(doc.DocumentNamespace)).String()
	root := c.bare(image) // its parts are the document's
	bom.Metadata = &cdx.Metadata{Timestamp: doc.CreationInfo.Created, Tools: tools(doc), Component: &root}
	components := []cdx.Component{}
	dependencies := []string{}
	for _, p := range c.parts[imageID] {
		one := c.component(p)
		components = append(components, one)
		dependencies = append(dependencies, one.BOMRef)
	}
	for _, p := range doc.Packages {
		if p.PackageSPDXIdentifier == baseID {
			base := c.bare(p) // its parts are listed among the image's
			root.Pedigree = &cdx.Pedigree{Ancestors: &[]cdx.Component{base}}
		}
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

// converter knows what an SPDX document relates.
type converter struct {
	files     map[common.ElementID][]listed        // what is in a package
	parts     map[common.ElementID][]*spdx.Package // the same of packages
	seen      map[common.ElementID][]sighting
	inherited map[common.ElementID]bool
}

// listed is a file of a document.
type listed struct {
	id   common.ElementID
	path string // from the root on: /usr/bin/env
	sums []common.Checksum
}

// sighting is a file that shows a component.
type sighting struct {
	file    listed
	comment string
}

// newConverter reads how a document's packages relate.
func newConverter(doc *spdx.Document) *converter {
	packages := make(map[common.ElementID]*spdx.Package, len(doc.Packages))
	for _, p := range doc.Packages {
		packages[p.PackageSPDXIdentifier] = p
	}
	c := &converter{
		files: map[common.ElementID][]listed{}, parts: map[common.ElementID][]*spdx.Package{},
		seen: map[common.ElementID][]sighting{}, inherited: map[common.ElementID]bool{},
	}
	for _, r := range doc.Relationships {
		from, to := r.RefA.ElementRefID, r.RefB.ElementRefID
		switch {
		case r.Relationship != common.TypeRelationshipContains || packages[to] == nil:
		case from == baseID:
			c.inherited[to] = true
		default:
			c.parts[from] = append(c.parts[from], packages[to])
		}
	}
	return c
}

// addFiles reads how its files relate to packages.
func (c *converter) addFiles(doc *spdx.Document) {
	files := make(map[common.ElementID]listed, len(doc.Files))
	for _, f := range doc.Files {
		files[f.FileSPDXIdentifier] = listed{f.FileSPDXIdentifier, strings.TrimPrefix(f.FileName, "."), f.Checksums}
	}
	for _, r := range doc.Relationships {
		from := r.RefA.ElementRefID
		switch file, ok := files[r.RefB.ElementRefID]; {
		case !ok:
		case r.Relationship == common.TypeRelationshipOther:
			c.seen[from] = append(c.seen[from], sighting{file, r.RelationshipComment})
		case r.Relationship == common.TypeRelationshipContains:
			c.files[from] = append(c.files[from], file)
		}
	}
}

// component is a package with the components and files that are in it.
func (c *converter) component(p *spdx.Package) cdx.Component {
	component := c.bare(p)
	var inside []cdx.Component
	for _, part := range c.parts[p.PackageSPDXIdentifier] {
		inside = append(inside, c.component(part))
	}
	if inside = append(inside, fileComponents(c.files[p.PackageSPDXIdentifier])...); len(inside) > 0 {
		component.Components = &inside
	}
	return component
}

// bare is a package without what is in it.
func (c *converter) bare(p *spdx.Package) cdx.Component {
	id := p.PackageSPDXIdentifier
	component := cdx.Component{
		BOMRef:  string(id),
		Type:    componentType(p),
		Name:    p.PackageName,
		Version: p.PackageVersion,
		Hashes:  hashes(p.PackageChecksums),
	}
	for _, ref := range p.PackageExternalReferences {
		if ref.RefType == common.TypePackageManagerPURL {
			component.PackageURL = ref.Locator
			component.Group, component.Name = mavenNames(ref.Locator, component.Name)
		}
	}
	if s := p.PackageSupplier; s != nil && s.Supplier != noAssertion {
		component.Supplier = &cdx.OrganizationalEntity{Name: s.Supplier}
	}
	if l := p.PackageLicenseDeclared; l != "" && l != noAssertion {
		component.Licenses = &cdx.Licenses{{Expression: l}}
	}
	component.Properties = c.properties(p)
	component.Evidence = foundBy(component, c.seen[id])
	return component
}

// mavenNames are group and artifact of a Maven purl; other packages keep the
// name that they have.
func mavenNames(purl, name string) (group, artifact string) {
	if p, err := packageurl.FromString(purl); err == nil && p.Type == packageurl.TypeMaven {
		return p.Namespace, p.Name
	}
	return "", name
}

func componentType(p *spdx.Package) cdx.ComponentType {
	switch p.PrimaryPackagePurpose {
	case "CONTAINER":
		return cdx.ComponentTypeContainer
	case "OPERATING-SYSTEM":
		return cdx.ComponentTypeOS
	}
	return cdx.ComponentTypeLibrary
}

// foundBy says how a component was recognised and in which files.
func foundBy(component cdx.Component, seen []sighting) *cdx.Evidence {
	if len(seen) == 0 {
		return nil
	}
	occurrences := make([]cdx.EvidenceOccurrence, 0, len(seen))
	methods := []cdx.EvidenceIdentityMethod{}
	known := map[cdx.EvidenceIdentityMethod]bool{}
	for _, s := range seen {
		method, where, _ := strings.Cut(strings.TrimPrefix(s.comment, evidentBy), " of ")
		m := cdx.EvidenceIdentityMethod{Technique: cdx.EvidenceIdentityTechnique(method)}
		if !known[m] {
			known[m] = true
			one := m
			one.Confidence = confidence(method)
			methods = append(methods, one)
		}
		occurrences = append(occurrences, cdx.EvidenceOccurrence{
			BOMRef:   string(s.file.id) + "-" + fingerprint(component.BOMRef + where)[:12],
			Location: s.file.path, AdditionalContext: where,
		})
	}
	field := cdx.EvidenceIdentityFieldTypePURL
	if component.PackageURL == "" {
		field = cdx.EvidenceIdentityFieldTypeName
	}
	return &cdx.Evidence{
		Identity:    &cdx.EvidenceIdentityChoice{Identities: &[]cdx.EvidenceIdentity{{Field: field, Methods: &methods}}},
		Occurrences: &occurrences,
	}
}

// confidence of a technique, which the schema demands: what a build tool wrote
// is certain, a file's name is anybody's.
func confidence(method string) *float32 {
	c := float32(1)
	if method == string(evidence.Filename) {
		c = 0.5
	}
	return &c
}

// properties carry what CycloneDX has no field for.
func (c *converter) properties(p *spdx.Package) *[]cdx.Property {
	var properties []cdx.Property
	add := func(name, value string) {
		properties = append(properties, cdx.Property{Name: "shudl:" + name, Value: value})
	}
	if c.inherited[p.PackageSPDXIdentifier] {
		add("inherited", "true")
	}
	if p.PackageSourceInfo != "" {
		add("source", p.PackageSourceInfo)
	}
	for _, a := range p.Annotations {
		text := a.AnnotationComment
		switch {
		case strings.HasPrefix(text, leftOut):
			add("left-out", text)
		case strings.HasPrefix(text, evidenceNote):
			add("evidence", text)
		case strings.HasPrefix(text, goSum):
			add("go.sum", strings.TrimPrefix(text, goSum))
		}
	}
	if len(properties) == 0 {
		return nil
	}
	return &properties
}

func fileComponents(files []listed) []cdx.Component {
	components := make([]cdx.Component, 0, len(files))
	for _, f := range files {
		components = append(components, cdx.Component{
			BOMRef: string(f.id),
			Type:   cdx.ComponentTypeFile,
			Name:   f.path,
			Hashes: hashes(f.sums),
		})
	}
	return components
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
