// Package evidence reads what files say of themselves and of the software
// that is in them: Maven coordinates in jars, modules in Go programs, Python
// metadata, licences. A file is looked into once: what it said is kept in the
// store under its digest. It is evidence and not a decision: artefacts are
// what the lock says they are.
package evidence

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/deb"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/license"
)

// Format changes whenever the same file would be read differently; whoever
// keeps what follows from evidence keeps it with that.
const Format = "3"

// recordKind is the kind of the store's records from files to facts.
const recordKind = "evidence"

// Facts are what one file says. The zero value is a file that says nothing.
type Facts struct {
	// License of the file, or of the package that the file speaks for: an SPDX
	// expression, empty where it is not known.
	License string `json:"license,omitempty"`
	// Texts of the LicenseRefs in License.
	Texts map[string]string `json:"texts,omitempty"`
	// FreeForm marks a licence that was recognised in prose.
	FreeForm bool `json:"free,omitempty"`
	// Supplier is who made it, as the file says; empty where it does not.
	Supplier string `json:"supplier,omitempty"`
	// Parts are the components that the file names.
	Parts []Part `json:"parts,omitempty"`
	// Jar is what else a jar says, from which its own coordinates follow.
	Jar *Jar `json:"jar,omitempty"`
}

// Part is a component that a file names.
type Part struct {
	Type      string `json:"type"` // of its purl: maven, golang, pypi
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	License   string `json:"license,omitempty"` // SPDX expression
	Supplier  string `json:"supplier,omitempty"`
	// Sum is the checksum of a Go module, h1:… as in go.sum.
	Sum string `json:"sum,omitempty"`
	// Where is the path inside the file; empty for the file as a whole.
	Where string `json:"where,omitempty"`
}

// kind says what there is to read in a file; empty means nothing.
func kind(e rootfs.Entry) string {
	if e.Type != rootfs.Regular || e.Size == 0 {
		return ""
	}
	base, dir := path.Base(e.Path), path.Dir(e.Path)
	lower := strings.ToLower(base)
	switch {
	case base == "copyright" && strings.HasPrefix(dir, "usr/share/doc/"):
		return "copyright"
	case strings.HasSuffix(lower, ".jar"), strings.HasSuffix(lower, ".war"), strings.HasSuffix(lower, ".ear"):
		return "jar"
	case base == "METADATA" && strings.HasSuffix(dir, ".dist-info"),
		base == "PKG-INFO" && strings.HasSuffix(dir, ".egg-info"), strings.HasSuffix(base, ".egg-info"):
		return "python"
	case e.Mode&0o111 != 0 && e.Size >= minProgram:
		return "program"
	}
	switch strings.TrimSuffix(strings.TrimSuffix(lower, ".txt"), ".md") {
	case "license", "licence", "copying":
		return "license"
	}
	return ""
}

// Says tells whether a file is one that may say something.
func Says(e rootfs.Entry) bool { return kind(e) != "" }

// Known gives what a file said when it was read before.
func Known(s *fetch.Store, e rootfs.Entry) (Facts, bool) {
	data, ok := s.Record(recordKind, key(e))
	if !ok {
		return Facts{}, false
	}
	var f Facts
	if json.Unmarshal(data, &f) != nil {
		return Facts{}, false
	}
	return f, true
}

func key(e rootfs.Entry) string { return Format + " " + kind(e) + " " + string(e.SHA256) }

// Read gives what a file says. A file that is not what its name promises says
// nothing, which is no error; one that cannot be read is.
func Read(ctx context.Context, s *fetch.Store, e rootfs.Entry) (Facts, error) {
	if f, ok := Known(s, e); ok {
		return f, nil
	}
	f, err := read(ctx, s, e)
	if err != nil {
		return Facts{}, fmt.Errorf("look into %s: %w", e.Path, err)
	}
	data, err := json.Marshal(f)
	if err != nil {
		return Facts{}, err
	}
	return f, s.SetRecord(recordKind, key(e), data)
}

func read(ctx context.Context, s *fetch.Store, e rootfs.Entry) (Facts, error) {
	switch kind(e) {
	case "copyright":
		text, err := small(ctx, e, deb.MaxCopyright)
		if err != nil || text == nil {
			return Facts{}, err
		}
		c := deb.ReadCopyright(text)
		return Facts{License: known(c.License), Texts: c.Texts, FreeForm: c.FreeForm}, nil
	case "license":
		text, err := small(ctx, e, maxText)
		return Facts{License: license.Leading(text)}, err
	case "python":
		text, err := small(ctx, e, maxText)
		if err != nil || text == nil {
			return Facts{}, err
		}
		return python(text), nil
	case "jar":
		return readJar(ctx, s, e)
	case "program":
		return readProgram(ctx, s, e)
	}
	return Facts{}, nil
}

// maxText bounds a text that is read whole, in bytes.
const maxText = 1 << 20

// small reads a file of at most limit bytes; a longer one gives nil.
func small(ctx context.Context, e rootfs.Entry, limit int64) ([]byte, error) {
	if e.Size > limit {
		return nil, nil
	}
	r, err := e.Content.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// known leaves out SPDX's word for what is not known.
func known(license string) string {
	if license == deb.NoAssertion {
		return ""
	}
	return license
}
