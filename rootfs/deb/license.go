package deb

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// NoAssertion is SPDX's word for a licence that nobody has determined.
const NoAssertion = "NOASSERTION"

// MaxCopyright bounds the copyright file that is read, in bytes.
const MaxCopyright = 4 << 20

// maxLicenseText bounds the text of one licence that is kept, in bytes.
const maxLicenseText = 16 << 10

// Copyright is what a package's copyright file says.
type Copyright struct {
	// License is an SPDX expression, or NoAssertion. Licences that SPDX does
	// not list stand in it as LicenseRef-NAME.
	License string
	// Texts holds the text of each LicenseRef that the file has a text for.
	Texts map[string]string
	// FreeForm marks a file that is no machine-readable one: its licences were
	// recognised by references and texts, and there may be others in it.
	FreeForm bool
}

// License reads the package's own copyright file and gives an SPDX expression,
// or NoAssertion. A package whose documentation folder is a link to another's
// has none of its own.
func (c *Contents) License(ctx context.Context) (string, error) {
	want := "usr/share/doc/" + c.Name + "/copyright"
	i := slices.IndexFunc(c.Entries, func(e rootfs.Entry) bool { return e.Path == want && e.Type == rootfs.Regular })
	if i < 0 {
		return NoAssertion, nil
	}
	r, err := c.Entries[i].Content.Open(ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, MaxCopyright))
	if err != nil {
		return "", err
	}
	return ReadCopyright(text).License, nil
}

// ReadCopyright gives a copyright file's licences as one SPDX expression.
// From a machine-readable file (DEP-5) these are all its short names, joined
// by AND, sorted; names that SPDX has under another name are translated, and
// licences of the packaging alone (Files: debian/*) count only where there
// are no others. From a file in free form they are the licences whose texts
// and notices it quotes and those of usr/share/common-licenses that it refers
// to.
func ReadCopyright(copyright []byte) Copyright {
	if !bytes.HasPrefix(bytes.TrimLeft(copyright, " \t\r\n"), []byte("Format:")) {
		return freeForm(copyright)
	}
	c := Copyright{License: NoAssertion, Texts: map[string]string{}}
	var program, packaging []string
	r := newControlReader(bytes.NewReader(copyright))
	r.comments = true
	for {
		p, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return freeForm(copyright) // it only looks machine readable
		}
		files := p.get("Files")
		name, text, _ := strings.Cut(p.get("License"), "\n")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		e := expression(name)
		c.keepText(e, text)
		switch {
		case files == "":
		case strings.HasPrefix(files, "debian/"):
			packaging = append(packaging, e)
		default:
			program = append(program, e)
		}
	}
	if len(program) == 0 {
		program = packaging
	}
	c.License = conjunction(program)
	return c
}

// keepText remembers the text that a paragraph has for a licence of its own.
func (c *Copyright) keepText(expression, text string) {
	text = strings.TrimSpace(strings.ReplaceAll("\n"+text+"\n", "\n.\n", "\n\n"))
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\n.\n", "\n\n"), "�")
	if text == "" || !strings.HasPrefix(expression, licenseRef) || strings.Contains(expression, " ") {
		return
	}
	if old, ok := c.Texts[expression]; ok && len(old) >= len(text) {
		return // a paragraph of its own says more than a remark
	}
	c.Texts[expression] = truncated(text)
}

// conjunction joins expressions that all hold, each once, sorted.
func conjunction(list []string) string {
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	if len(list) == 0 {
		return NoAssertion
	}
	if len(list) > 1 {
		for i, e := range list {
			if strings.Contains(e, " OR ") && !strings.HasPrefix(e, "(") {
				list[i] = "(" + e + ")"
			}
		}
	}
	return strings.Join(list, " AND ")
}
