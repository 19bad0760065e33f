package deb

import (
	"fmt"
	"strings"

	"pault.ag/go/debian/version"
)

// relation is one comma-separated part of a relation field: alternatives, the
// first of which is liked best.
type relation []alternative

// alternative is one package that would do: name[:arch] [(op version)].
type alternative struct {
	name string
	arch string // "", "any" or an architecture
	op   string // "", "<<", "<=", "=", ">=", ">>"
	ver  version.Version
	text string
}

func (a alternative) String() string { return a.text }

func (r relation) String() string {
	parts := make([]string, len(r))
	for i, a := range r {
		parts[i] = a.text
	}
	return strings.Join(parts, " | ")
}

// allows says whether a version meets the alternative's constraint.
func (a alternative) allows(v version.Version) bool {
	c := version.Compare(v, a.ver)
	switch a.op {
	case "":
		return true
	case "<<":
		return c < 0
	case "<=":
		return c <= 0
	case "=":
		return c == 0
	case ">=":
		return c >= 0
	case ">>":
		return c > 0
	}
	return false
}

// parseRelations reads a relation field of a binary package (Policy 7.1):
// "a, b:any (>= 1) | c". Source-only syntax, [arch] and <stage>, is an error.
func parseRelations(text string) ([]relation, error) {
	var out []relation
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue // a trailing comma, or an empty field
		}
		var rel relation
		for one := range strings.SplitSeq(part, "|") {
			a, err := parseAlternative(strings.TrimSpace(one))
			if err != nil {
				return nil, fmt.Errorf("relation %q: %w", part, err)
			}
			rel = append(rel, a)
		}
		out = append(out, rel)
	}
	return out, nil
}

// parseAlternative reads name[:arch] [(op version)].
func parseAlternative(s string) (alternative, error) {
	name, constraint, versioned := strings.Cut(s, "(")
	name = strings.TrimSpace(name)
	a := alternative{text: name}
	a.name, a.arch, _ = strings.Cut(name, ":")
	if !validName(a.name) {
		return a, fmt.Errorf("%q is no package name", a.name)
	}
	if a.arch != "" && !validName(a.arch) || strings.HasSuffix(name, ":") {
		return a, fmt.Errorf("%q is no architecture", a.arch)
	}
	if !versioned {
		return a, nil
	}
	constraint, ok := strings.CutSuffix(constraint, ")")
	if !ok {
		return a, fmt.Errorf("%q does not end with a parenthesis", s)
	}
	constraint = strings.TrimSpace(constraint)
	number := strings.TrimLeft(constraint, "<>=")
	a.op = constraint[:len(constraint)-len(number)]
	switch a.op {
	case "<<", "<=", "=", ">=", ">>":
	case "<":
		a.op = "<=" // obsolete spellings, read as dpkg reads them
	case ">":
		a.op = ">="
	default:
		return a, fmt.Errorf("no operator in %q", s)
	}
	number = strings.TrimSpace(number)
	var err error
	if a.ver, err = parseVersion(number); err != nil {
		return a, err
	}
	// The version as it was written: the library prints no epoch of zero,
	// without which a colon further on would begin one.
	a.text += " (" + a.op + " " + number + ")"
	return a, nil
}

// validName holds a package name to what dpkg takes, upper case allowed as apt
// allows it: nothing else may become part of a path.
func validName(name string) bool {
	if name == "" || len(name) > 200 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
		if !alnum && (i == 0 || c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return true
}
