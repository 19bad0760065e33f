package deb

import (
	"fmt"
	"slices"
	"strings"
)

// UnsatisfiableError says why a set of packages cannot be installed.
type UnsatisfiableError struct {
	// Package and Version are what cannot be, Relation what it says.
	Package, Version, Relation string
	// Conflict is the package that the relation hits; empty where the
	// relation is a need that nothing meets.
	Conflict string
	// Chain leads from a root to the package, each wanting the next.
	Chain []string
	// Near lists what was looked at to meet a need, and why it does not.
	Near []string
}

func (e *UnsatisfiableError) Error() string {
	var b strings.Builder
	if e.Conflict != "" {
		fmt.Fprintf(&b, "%s %s conflicts with %s, by its relation %q", e.Package, e.Version, e.Conflict, e.Relation)
	} else {
		fmt.Fprintf(&b, "%s %s needs %q, which nothing meets", e.Package, e.Version, e.Relation)
		if len(e.Near) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(e.Near, "; "))
		}
	}
	if len(e.Chain) > 1 {
		fmt.Fprintf(&b, "; wanted by %s", strings.Join(e.Chain, " → "))
	}
	return b.String()
}

// broken is the error of the first package, in name order, whose relations do
// not hold in what was marked; a root counts before others.
func (s *solver) broken(roots []*state) error {
	if s.err != nil {
		return s.err
	}
	rest := make([]*state, 0, len(s.states))
	for _, st := range s.states {
		rest = append(rest, st)
	}
	slices.SortFunc(rest, func(a, b *state) int { return strings.Compare(a.name, b.name) })
	for _, st := range append(slices.Clone(roots), rest...) {
		p := st.installed()
		if p == nil && slices.Contains(roots, st) {
			return fmt.Errorf("package %s cannot be installed beside the others that are asked for", st.name)
		}
		if p != nil && !s.sound(st) {
			return s.explain(p, nil)
		}
	}
	return nil
}

// explain follows the first relation that does not hold down to its cause.
func (s *solver) explain(p *Package, above []*Package) error {
	chain := append(slices.Clone(above), p)
	need, conflict, hit := s.unmetIn(p)
	e := &UnsatisfiableError{Package: p.Name, Version: p.Version}
	for _, c := range chain {
		e.Chain = append(e.Chain, c.Name)
	}
	if len(above) == 0 {
		e.Chain = s.wanted(p)
	}
	switch {
	case conflict != nil:
		e.Relation, e.Conflict = conflict.String(), hit.Name+" "+hit.Version
		return e
	case need == nil:
		return fmt.Errorf("package %s %s cannot be installed beside the others that are asked for", p.Name, p.Version)
	}
	e.Relation = need.String()
	for _, a := range need {
		for _, other := range s.everything(a) {
			if slices.Contains(chain, other) || len(chain) > 50 {
				continue
			}
			if n, c, _ := s.unmetIn(other); n != nil || c != nil {
				return s.explain(other, chain)
			}
		}
		e.Near = append(e.Near, s.near(a)...)
	}
	return e
}

// unmetIn is unmet against all that could be installed, then against what is
// marked: the deepest cause comes first.
func (s *solver) unmetIn(p *Package) (need, conflict relation, hit *Package) {
	rels := s.relations(p)
	for _, r := range rels.needs {
		if !s.met(r, (*state).installed) && !s.met(r, candidateOf) {
			return r, nil, nil
		}
	}
	return s.unmet(p)
}

// everything lists all versions of the indexes that meet an alternative.
func (s *solver) everything(a alternative) []*Package {
	var out []*Package
	for _, p := range s.u.versions[a.name] {
		if s.u.allows(a, p) {
			out = append(out, p)
		}
	}
	for _, pr := range s.u.provided[a.name] {
		if s.u.allowsProvided(a, pr) {
			out = append(out, pr.p)
		}
	}
	return out
}

// near says what there is of a name that a relation asks for.
func (s *solver) near(a alternative) []string {
	var out []string
	for _, p := range s.u.versions[a.name] {
		switch {
		case !s.u.allows(a, p):
			out = append(out, "there is "+p.Name+" "+p.Version)
		case s.state(a.name).current != nil && s.state(a.name).current != p:
			out = append(out, "the parent image holds "+p.Name+" "+s.state(a.name).current.Version)
		default:
			out = append(out, p.Name+" "+p.Version+" cannot be installed beside the others")
		}
	}
	if len(out) == 0 && len(s.u.provided[a.name]) == 0 {
		out = append(out, "no index lists "+a.name)
	}
	return out
}

// wanted leads from the package that first wanted p, or its root, to p.
func (s *solver) wanted(p *Package) []string {
	var chain []string
	for p != nil && !slices.Contains(chain, p.Name) {
		chain = append(chain, p.Name)
		p = s.state(p.Name).by
	}
	slices.Reverse(chain)
	return chain
}
