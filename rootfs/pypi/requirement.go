package pypi

import (
	"fmt"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// requirement is a dependency as PEP 508 writes it:
// name[extra,extra] (conditions); marker.
type requirement struct {
	name    string // normalised
	extras  []string
	clauses []clause
	spec    string // the conditions as written
	marker  marker // nil holds always
}

var (
	requirementForm = recipes.NewPattern(`^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)$`)
	separators      = recipes.NewPattern(`[-_.]+`)
)

// Normalize is the one spelling of a project's name (PEP 503).
func Normalize(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

// maxRequirement bounds a line of metadata, in bytes.
const maxRequirement = 16 << 10

// parseRequirement reads one dependency.
func parseRequirement(s string) (requirement, error) {
	if len(s) > maxRequirement {
		return requirement{}, fmt.Errorf("a requirement of %d bytes", len(s))
	}
	text, condition, conditional := strings.Cut(s, ";")
	m := requirementForm.FindStringSubmatch(text)
	if m == nil {
		return requirement{}, fmt.Errorf("requirement %q", s)
	}
	r := requirement{name: Normalize(m[1])}
	for extra := range strings.SplitSeq(m[2], ",") {
		if extra = strings.TrimSpace(extra); extra != "" {
			r.extras = append(r.extras, Normalize(extra))
		}
	}
	spec := strings.TrimSpace(m[3])
	if strings.HasPrefix(spec, "@") {
		return r, fmt.Errorf("requirement %q names an address; only versions are supported", s)
	}
	if strings.HasPrefix(spec, "(") && strings.HasSuffix(spec, ")") {
		spec = strings.TrimSpace(spec[1 : len(spec)-1])
	}
	r.spec = spec
	var err error
	if r.clauses, err = parseSpecifiers(spec); err != nil {
		return r, fmt.Errorf("requirement %q: %w", s, err)
	}
	if conditional {
		if r.marker, err = parseMarker(condition); err != nil {
			return r, fmt.Errorf("requirement %q: %w", s, err)
		}
	}
	return r, nil
}

// ParseRequirement reads what a recipe names: name==version, with extras
// where their dependencies shall be checked. It returns the normalised name
// and the version.
func ParseRequirement(s string) (name, version string, err error) {
	r, err := parseRequirement(s)
	if err != nil {
		return "", "", err
	}
	if len(r.clauses) != 1 || r.clauses[0].op != "==" || strings.HasSuffix(r.clauses[0].text, ".*") || r.marker != nil {
		return "", "", fmt.Errorf("requirement %q: want name==version", s)
	}
	return r.name, r.clauses[0].text, nil
}
