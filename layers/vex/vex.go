// Package vex makes the one OpenVEX document
// (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md) that is
// published beside an image: the statements of the recipe's own documents that
// apply to it, merged so that equal statements give equal bytes.
package vex

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	openvex "github.com/openvex/go-vex/pkg/vex"
	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
)

// namespace begins the id of a merged document.
const namespace = "https://github.com/shudl/shudl-assemble/vex/"

// Input is what a document is made of.
type Input struct {
	Name  string // of the image: postgresql
	Files []recipes.VEX
	// Artifacts are the locked artefacts of the image and its ancestors, on
	// one platform.
	Artifacts []recipes.Artifact
}

// Document merges the statements that apply to the image. Each keeps those of
// its products that are in the image, and the time at which it was made. The
// result is nil where nothing applies. The id is that of the content, and the
// date the latest of the documents', so that nothing depends on when or how
// often images are made.
func Document(in Input) ([]byte, error) {
	var statements []openvex.Statement
	seen := map[string]bool{}
	for _, file := range in.Files {
		for _, s := range file.Document.Statements {
			if s.Timestamp == nil {
				s.Timestamp = file.Document.Timestamp
			}
			if s.Products = in.present(s.Products); len(s.Products) == 0 {
				continue
			}
			data, err := json.Marshal(&s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file.File, err)
			}
			if !seen[string(data)] {
				seen[string(data)] = true
				statements = append(statements, s)
			}
		}
	}
	if len(statements) == 0 {
		return nil, nil
	}
	first := in.Files[0].Document
	issued := latest(in.Files)
	openvex.SortStatements(statements, issued)
	doc := openvex.VEX{
		Metadata: openvex.Metadata{
			Context: openvex.ContextLocator(), Author: first.Author, AuthorRole: first.AuthorRole, Supplier: first.Supplier,
			Timestamp: &issued, Version: 1, Tooling: "shudl-assemble",
		},
		Statements: statements,
	}
	return seal(in.Name, doc)
}

// present are the products that the image is or holds, each with those of its
// subcomponents that may be in it.
func (in Input) present(products []openvex.Product) []openvex.Product {
	var kept []openvex.Product
	for _, p := range products {
		if !isImage(p.ID) && !holds(in.Artifacts, p.ID) {
			continue
		}
		// A distro's packages are all locked; what else is named may lie
		// inside of an artefact.
		var parts []openvex.Subcomponent
		for _, sub := range p.Subcomponents {
			if kind := typeOf(sub.ID); kind != packageurl.TypeApk && kind != packageurl.TypeDebian || holds(in.Artifacts, sub.ID) {
				parts = append(parts, sub)
			}
		}
		if len(p.Subcomponents) > 0 && len(parts) == 0 {
			continue
		}
		p.Subcomponents = parts
		kept = append(kept, p)
	}
	return kept
}

func holds(artifacts []recipes.Artifact, id string) bool {
	return slices.ContainsFunc(artifacts, func(a recipes.Artifact) bool { return openvex.PurlMatches(id, a.PURL) })
}

// isImage knows the purl of the image itself, which reading the recipe has
// held to its name.
func isImage(id string) bool { return strings.HasPrefix(id, "pkg:"+packageurl.TypeOCI+"/") }

func latest(files []recipes.VEX) time.Time {
	var last time.Time
	for _, f := range files {
		for _, at := range []*time.Time{f.Document.Timestamp, f.Document.LastUpdated} {
			if at != nil && at.After(last) {
				last = *at
			}
		}
	}
	return last.UTC().Truncate(time.Second)
}

// seal gives the document the id of its content.
func seal(name string, doc openvex.VEX) ([]byte, error) {
	content, err := encode(&doc)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	doc.ID = namespace + name + "/" + hex.EncodeToString(sum[:])
	return encode(&doc)
}

func encode(doc *openvex.VEX) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("OpenVEX document: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
