package evidence

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"runtime/debug"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// minProgram is less than any Go program has with its runtime, in bytes.
const minProgram = 256 << 10

// licensesKind is the kind of the store's records from Go programs to the
// licences of their modules.
const licensesKind = "go-licenses"

// KeepLicenses remembers the licences of the modules in a Go program, by
// path@version. A program does not say them; who builds it knows them.
func KeepLicenses(s *fetch.Store, program recipes.Digest, licenses map[string]string) error {
	data, err := json.Marshal(licenses)
	if err != nil {
		return err
	}
	return s.SetRecord(licensesKind, Format+" "+string(program), data)
}

// Licenses gives what KeepLicenses kept.
func Licenses(s *fetch.Store, program recipes.Digest) (map[string]string, bool) {
	data, ok := s.Record(licensesKind, Format+" "+string(program))
	if !ok {
		return nil, false
	}
	var licenses map[string]string
	return licenses, json.Unmarshal(data, &licenses) == nil
}

// readProgram reads the modules that a Go program was linked from, and the
// version of Go, whose standard library is in it too.
func readProgram(ctx context.Context, s *fetch.Store, e rootfs.Entry) (Facts, error) {
	elf, err := isELF(ctx, e)
	if err != nil || !elf {
		return Facts{}, err
	}
	r, closer, err := archive.OpenAt(ctx, s, e)
	if err != nil {
		return Facts{}, err
	}
	defer closer.Close()
	info, err := buildinfo.Read(r)
	if err != nil {
		return Facts{}, nil // a program that is not Go's
	}
	licenses, _ := Licenses(s, e.SHA256)
	f := Facts{}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		f.Parts = append(f.Parts, module(m, licenses))
	}
	if version, ok := strings.CutPrefix(info.GoVersion, "go"); ok {
		version, _, _ = strings.Cut(version, " ") // experiments
		f.Parts = append(f.Parts, Part{Type: packageurl.TypeGolang, Name: "stdlib", Version: version, License: "BSD-3-Clause", Supplier: "The Go Authors"})
	}
	// The main module where it is a released one; a generated one has no version.
	if m := info.Main; m.Path != "" && m.Version != "" && m.Version != "(devel)" {
		f.Parts = append(f.Parts, module(&m, licenses))
	}
	return f, nil
}

func module(m *debug.Module, licenses map[string]string) Part {
	p := Part{Type: packageurl.TypeGolang, Name: m.Path, Version: m.Version, Sum: m.Sum, License: licenses[m.Path+"@"+m.Version]}
	if i := strings.LastIndexByte(m.Path, '/'); i >= 0 {
		p.Namespace, p.Name = m.Path[:i], m.Path[i+1:]
	}
	return p
}

func isELF(ctx context.Context, e rootfs.Entry) (bool, error) {
	in, err := e.Content.Open(ctx)
	if err != nil {
		return false, err
	}
	defer in.Close()
	magic := make([]byte, 4)
	n, err := in.Read(magic)
	if n < len(magic) {
		return false, err
	}
	return bytes.Equal(magic, []byte("\x7fELF")), nil
}
