package recipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/openvex/go-vex/pkg/vex"
	"github.com/package-url/packageurl-go"
)

// VEX is one OpenVEX document from the folder vex of a recipe: what is known
// of vulnerabilities in the image. It is no part of the recipe's digest: what
// is said of an image does not change it.
type VEX struct {
	File     string // as errors name it
	Document *vex.VEX
}

// VEX lists the documents of a recipe, in the order of their files' names.
func (s *Set) VEX(name string) []VEX { return s.vex[name] }

// vexFolder reads the VEX documents of one recipe.
type vexFolder struct {
	*report
	fsys  fs.FS
	dir   string // of the recipe, below fsys
	file  string // the document at hand, as errors name it
	image string
}

// readVEX reads and checks every document of a recipe's folder vex. That
// products are in the image is checked where the lock is known.
func readVEX(fsys fs.FS, prefix string, rec *recipe, rep *report) []VEX {
	dir := path.Join(rec.folder.dir, "vex")
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f := vexFolder{report: rep, fsys: fsys, dir: rec.folder.dir, file: path.Join(prefix, dir), image: rec.name}
	if err != nil {
		f.wrong("", "cannot be read: %v", err)
		return nil
	}
	var all []VEX
	for _, e := range entries {
		f.file = path.Join(prefix, dir, e.Name())
		if !e.Type().IsRegular() || path.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), ".") {
			f.wrong("", "the folder vex holds OpenVEX documents, *.json, and nothing else")
			continue
		}
		data, err := rec.folder.read("vex/" + e.Name())
		if err != nil {
			f.wrong("", "%v", err)
			continue
		}
		if doc := f.parse(data); doc != nil {
			all = append(all, VEX{f.file, doc})
		}
	}
	f.sameAuthor(all)
	return all
}

func (f vexFolder) wrong(key, format string, args ...any) {
	f.add(Position{File: f.file}, key, format, args...)
}

// parse reads one document and holds it to OpenVEX 0.2.0
// (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md).
func (f vexFolder) parse(data []byte) *vex.VEX {
	doc := new(vex.VEX)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(doc)
	if err == nil {
		if _, after := decoder.Token(); after != io.EOF {
			err = errors.New("more than one JSON value")
		}
	}
	if err != nil {
		f.wrong("", "%v%s", err, lineOf(data, err))
		return nil
	}
	before := len(f.all)
	switch {
	case doc.Context != vex.ContextLocator():
		f.wrong("@context", "want %s", vex.ContextLocator())
	case doc.ID == "" || doc.Author == "":
		f.wrong("", "want an @id and an author")
	case doc.Timestamp == nil || doc.Timestamp.IsZero():
		f.wrong("timestamp", "want the time at which this was stated")
	case doc.Version < 1:
		f.wrong("version", "want a number from 1 on, raised with each change")
	case len(doc.Statements) == 0:
		f.wrong("statements", "want at least one")
	}
	for n := range doc.Statements {
		f.statement(&doc.Statements[n], fmt.Sprintf("statements[%d]", n))
	}
	if len(f.all) > before {
		return nil
	}
	return doc
}

// statement holds one statement to the rules of its status, and its products
// to what an image can say something about.
func (f vexFolder) statement(s *vex.Statement, key string) {
	if s.Vulnerability.Name == "" {
		f.wrong(key+".vulnerability", "want a name, such as CVE-2026-1234")
	}
	if err := s.Validate(); err != nil {
		f.wrong(key, "%v", err)
	}
	if len(s.Products) == 0 {
		f.wrong(key+".products", "want at least one: pkg:oci/%s, or the purl of a package in it", f.image)
	}
	for n, p := range s.Products {
		at := fmt.Sprintf("%s.products[%d]", key, n)
		f.product(p.Component, at)
		for m, sub := range p.Subcomponents {
			f.purl(sub.Component, fmt.Sprintf("%s.subcomponents[%d]", at, m))
		}
	}
}

// product makes sure that a product is a package, or this image whatever its
// digest: which digests it speaks of is said by what it is attached to.
func (f vexFolder) product(c vex.Component, key string) {
	purl, ok := f.purl(c, key)
	if !ok || purl.Type != packageurl.TypeOCI {
		return
	}
	if purl.Namespace != "" || purl.Name != f.image || purl.Version != "" || len(purl.Qualifiers) > 0 || purl.Subpath != "" {
		f.wrong(key, "%s: this folder speaks of pkg:oci/%s, written so, without digest, registry or tag", c.ID, f.image)
	}
}

// purl is what names a component: only purls can be held against a lock.
func (f vexFolder) purl(c vex.Component, key string) (packageurl.PackageURL, bool) {
	purl, err := packageurl.FromString(c.ID)
	if err != nil {
		f.wrong(key, "@id %q is no purl: %v", c.ID, err)
		return purl, false
	}
	for kind, id := range c.Identifiers {
		if kind == vex.PURL && id != c.ID {
			f.wrong(key, "@id %s and identifier %s differ", c.ID, id)
			return purl, false
		}
	}
	return purl, true
}

// sameAuthor holds the documents of one recipe to one author, since they are
// published as one document.
func (f vexFolder) sameAuthor(all []VEX) {
	for _, v := range all {
		first := all[0].Document
		if v.Document.Author == first.Author && v.Document.AuthorRole == first.AuthorRole && v.Document.Supplier == first.Supplier {
			continue
		}
		f.file = v.File
		f.wrong("author", "author, role or supplier differ from %s: the documents of one image are published as one", all[0].File)
	}
}
