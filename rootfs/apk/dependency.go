package apk

import (
	"fmt"
	"strings"
)

// Op is the comparison of a dependency.
type Op uint8

// The comparisons. Any asks for the name in whatever version.
const (
	Any          = Op(0x0f)
	Equal        = Op(equal)
	Less         = Op(less)
	Greater      = Op(greater)
	LessEqual    = Op(less | equal)
	GreaterEqual = Op(greater | equal)
	// Checksum asks for the package with exactly this Q1 checksum.
	Checksum = Op(less | greater)
	// Fuzzy asks for a version that begins as the given one does.
	Fuzzy = Op(0x10 | equal)
)

// String is the operator as apk writes it.
func (o Op) String() string {
	switch o {
	case Any:
		return ""
	case Equal:
		return "="
	case Less:
		return "<"
	case Greater:
		return ">"
	case LessEqual:
		return "<="
	case GreaterEqual:
		return ">="
	case Checksum:
		return "><"
	}
	if o&0x10 != 0 {
		switch {
		case o&Less != 0:
			return "<~"
		case o&Greater != 0:
			return ">~"
		}
		return "~"
	}
	return "?"
}

// Dependency is one entry of a package's depends, provides, install_if or
// replaces, or of a root's world. Names may carry the prefixes so:, cmd: and
// pc:. Conflict is the leading "!".
type Dependency struct {
	Name     string
	Op       Op
	Version  string
	Conflict bool
}

// String writes the dependency as apk does.
func (d Dependency) String() string {
	not := ""
	if d.Conflict {
		not = "!"
	}
	if d.Op == Any {
		return not + d.Name
	}
	return not + d.Name + d.Op.String() + d.Version
}

// ParseDependency reads one dependency: [!]name[op version].
func ParseDependency(s string) (Dependency, error) {
	d := Dependency{Op: Any}
	rest := s
	if strings.HasPrefix(rest, "!") {
		d.Conflict, rest = true, rest[1:]
	}
	if strings.ContainsAny(rest, " \n") || rest == "" {
		return d, fmt.Errorf("dependency %q: want name, name=version or !name", s)
	}
	at := strings.IndexAny(rest, "<>=~")
	if at < 0 {
		d.Name = rest
	} else {
		d.Name = rest[:at]
		tail := strings.TrimLeft(rest[at:], "<>=~")
		d.Op, d.Version = parseOp(rest[at:len(rest)-len(tail)]), tail
		if tail == "" {
			return d, fmt.Errorf("dependency %q has no version after %q", s, rest[at:])
		}
		if d.Op&Checksum != Checksum && !ValidVersion(tail) {
			return d, fmt.Errorf("dependency %q: %q is no version", s, tail)
		}
	}
	if d.Name == "" {
		return d, fmt.Errorf("dependency %q has no name", s)
	}
	if strings.Contains(d.Name, "@") {
		return d, fmt.Errorf("dependency %q: repository tags (@) are not used here", s)
	}
	return d, nil
}

func parseOp(s string) Op {
	var o Op
	for _, c := range s {
		switch c {
		case '<':
			o |= Less
		case '>':
			o |= Greater
		case '=':
			o |= Equal
		case '~':
			o |= Fuzzy
		}
	}
	return o
}

// parseDependencies reads a list separated by spaces.
func parseDependencies(s string) ([]Dependency, error) {
	if s == "" {
		return nil, nil
	}
	list := make([]Dependency, 0, strings.Count(s, " ")+1)
	for s != "" {
		var word string
		word, s, _ = strings.Cut(s, " ")
		if word == "" {
			continue
		}
		d, err := ParseDependency(word)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func writeDependencies(list []Dependency) string {
	words := make([]string, len(list))
	for i, d := range list {
		words[i] = d.String()
	}
	return strings.Join(words, " ")
}
