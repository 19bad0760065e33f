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

// parseMetadata reads the header fields.
func parseMetadata(data []byte) (metadata, error) {
	if head, _, ok := bytes.Cut(data, []byte("\n\n")); ok {
		data = head
	}
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(bytes.Clone(data), "\n\n"...))))
	h, err := r.ReadMIMEHeader()
	if err != nil {
		return metadata{}, fmt.Errorf("METADATA: %w", err)
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
