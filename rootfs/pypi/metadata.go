package pypi

import (
	"bufio"
	"bytes"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs/license"
)

// metadata is what is read of a METADATA or PKG-INFO file (core metadata 2.4).
type metadata struct {
	name, version string
	python        []clause // Requires-Python
	requires      []requirement
	license       string // SPDX expression, empty where it is not known
}

// Identity is what a METADATA or PKG-INFO file says of who made the project.
type Identity struct {
	Name    string // normalised
	Version string
	License string // SPDX expression, empty where it is not known
	Author  string // or its maintainer; empty where it names neither
}

// Identify reads a METADATA or PKG-INFO file without its requirements.
func Identify(data []byte) (Identity, error) {
	h, err := header(data)
	if err != nil {
		return Identity{}, err
	}
	i := Identity{Name: Normalize(h.Get("Name")), Version: h.Get("Version"), License: licenseOf(h)}
	if i.Name == "" || i.Version == "" {
		return i, fmt.Errorf("METADATA has no name or version")
	}
	for _, field := range []string{"Author", "Maintainer", "Author-Email", "Maintainer-Email"} {
		name, _, _ := strings.Cut(h.Get(field), "<")
		if name = strings.Trim(strings.TrimSpace(name), `"'`); name != "" && name != "UNKNOWN" && !strings.Contains(name, "@") {
			i.Author = name
			break
		}
	}
	return i, nil
}

// header reads the fields above the description.
func header(data []byte) (textproto.MIMEHeader, error) {
	if head, _, ok := bytes.Cut(data, []byte("\n\n")); ok {
		data = head
	}
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(bytes.Clone(data), "\n\n"...))))
	h, err := r.ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("METADATA: %w", err)
	}
	return h, nil
}

// parseMetadata reads the header fields.
func parseMetadata(data []byte) (metadata, error) {
	h, err := header(data)
	if err != nil {
		return metadata{}, err
	}
	m := metadata{name: Normalize(h.Get("Name")), version: h.Get("Version"), license: licenseOf(h)}
	if m.name == "" || m.version == "" {
		return m, fmt.Errorf("METADATA has no name or version")
	}
	if m.python, err = parseSpecifiers(h.Get("Requires-Python")); err != nil {
		return m, fmt.Errorf("METADATA: Requires-Python: %w", err)
	}
	for _, line := range h.Values("Requires-Dist") {
		dep, err := parseRequirement(line)
		if err != nil {
			return m, fmt.Errorf("METADATA: %w", err)
		}
		m.requires = append(m.requires, dep)
	}
	return m, nil
}

// licenseOf reads the licence: the expression of newer metadata, else the
// classifiers, else the free text where it is a known name.
func licenseOf(h textproto.MIMEHeader) string {
	if id := h.Get("License-Expression"); id != "" {
		return id
	}
	var ids []string
	for _, c := range h.Values("Classifier") {
		if name, ok := strings.CutPrefix(c, "License :: OSI Approved :: "); ok {
			ids = append(ids, license.FromName(name))
		}
	}
	// Several may mean a choice or a sum: that is for the recipe to say.
	switch {
	case len(ids) == 1 && ids[0] != "":
		return ids[0]
	case len(ids) > 1:
		return ""
	}
	return license.FromName(h.Get("License"))
}
