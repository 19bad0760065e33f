package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/recipes"
)

// cycloneDX is what CycloneDX makes of the document that was written of the
// description. The document is parsed only where it reads otherwise than the
// description: JSON has no bytes that are not UTF-8.
func (d *describer) cycloneDX(document []byte) ([]byte, error) {
	if bytes.Contains(document, []byte(`\ufffd`)) {
		return CycloneDX(document)
	}
	doc := *d.doc
	doc.Packages = make([]*spdx.Package, len(d.doc.Packages))
	for i, p := range d.doc.Packages {
		one := *p
		var err error
		if one.PackageSupplier, err = readBack(p.PackageSupplier); err != nil {
			return nil, fmt.Errorf("CycloneDX document: supplier of %s: %w", p.PackageName, err)
		}
		doc.Packages[i] = &one
	}
	c := newConverter(&doc)
	for id, files := range d.listed {
		for _, f := range files {
			c.files[id] = append(c.files[id], f.listed())
		}
	}
	for id, sightings := range d.seen {
		for _, s := range sightings {
			c.seen[id] = append(c.seen[id], sighting{s.listed(), s.comment})
		}
	}
	return c.write(&doc)
}

// listed is the file as an element of a document.
func (p *Path) listed() listed {
	return listed{p.ID, "/" + p.Path, fileSums(p.SHA1, p.SHA256)}
}

func fileSums(sha1 string, sha256 recipes.Digest) []common.Checksum {
	return []common.Checksum{{Algorithm: common.SHA1, Value: sha1}, {Algorithm: common.SHA256, Value: string(sha256)}}
}

// readBack is a supplier as whoever parses the document reads it: the library
// leaves what JSON escapes in it as it stands.
func readBack(s *common.Supplier) (*common.Supplier, error) {
	if s == nil {
		return nil, nil
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	read := new(common.Supplier)
	return read, json.Unmarshal(data, read)
}
