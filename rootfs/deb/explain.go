package deb

import (
	"fmt"
	"maps"
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
		switch {
		case p == nil && slices.Contains(roots, st):
			return s.explain(st.first)
		case p != nil && !s.sound(st):
			return s.explain(p)
		}
	}
	return nil
}

// explain names what keeps a package out.
func (s *solver) explain(p *Package) error {
	f := finder{solver: s, verdicts: map[*Package]*UnsatisfiableError{}}
	for _, name := range slices.Sorted(maps.Keys(s.states)) {
		if stays := staying(s.states[name]); stays != nil {
			f.stay = append(f.stay, stays)
		}
	}
	above := s.wanted(p)
	if e := f.obstacle(p, above[:len(above)-1]); e != nil {
		return e
	}
	if _, conflict, hit := s.unmet(p); conflict != nil {
		return clash(p, conflict, hit, above)
	}
	return fmt.Errorf("package %s %s cannot be installed beside the others that are asked for", p.Name, p.Version)
}

func clash(p *Package, by relation, hit *Package, chain []string) *UnsatisfiableError {
	return &UnsatisfiableError{Package: p.Name, Version: p.Version, Relation: by.String(), Conflict: hit.Name + " " + hit.Version, Chain: chain}
}

// finder looks for the reason why a package cannot be had beside what stays:
// what the user asked for, what only that can have, and what a parent holds.
type finder struct {
	*solver
	stay []*Package // by name
	// verdicts are of the packages that were looked at; one that is being
	// looked at counts as fine, so that a circle is no reason.
	verdicts map[*Package]*UnsatisfiableError
}

// maxChain bounds how long a chain of needs may be to be told.
const maxChain = 50

// obstacle follows the needs of a package down to the first that cannot be met
// in any way, or to a conflict; nil is none.
func (f finder) obstacle(p *Package, above []string) *UnsatisfiableError {
	if known, ok := f.verdicts[p]; ok || len(above) > maxChain {
		return known
	}
	f.verdicts[p] = nil
	e := f.conflict(p, append(slices.Clone(above), p.Name))
	if e == nil {
		e = f.need(p, append(slices.Clone(above), p.Name))
	}
	f.verdicts[p] = e
	return e
}

// conflict finds a relation between the package and one that stays, whichever
// of them says it.
func (f finder) conflict(p *Package, chain []string) *UnsatisfiableError {
	for _, r := range f.relations(p).conflicts {
		if hits := f.against(p, r, staying); len(hits) > 0 {
			return clash(p, r, hits[0], chain)
		}
	}
	alone := func(st *state) *Package {
		if st.name == p.Name {
			return p
		}
		return nil
	}
	for _, other := range f.stay {
		for _, r := range f.relations(other).conflicts {
			if len(f.against(other, r, alone)) > 0 {
				return clash(other, r, p, chain)
			}
		}
	}
	return nil
}

// staying is the package of a name that gives way to no other.
func staying(st *state) *Package {
	if st.chosen != nil && st.protected {
		return st.chosen
	}
	return st.current
}

// need finds a need of the package that nothing can meet.
func (f finder) need(p *Package, chain []string) *UnsatisfiableError {
	for _, r := range f.relations(p).needs {
		if f.met(r, (*state).installed) {
			continue
		}
		var reasons []*UnsatisfiableError
		var near []string
		possible := false
		for _, a := range r {
			for _, other := range f.everything(a) {
				if f.states[other.Name].first != other {
					continue
				}
				e := f.obstacle(other, chain)
				possible = possible || e == nil
				reasons = append(reasons, e)
			}
			near = append(near, f.near(a)...)
		}
		switch {
		case possible:
		case len(reasons) > 0:
			return reasons[0]
		default:
			return &UnsatisfiableError{Package: p.Name, Version: p.Version, Relation: r.String(), Chain: chain, Near: near}
		}
	}
	return nil
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
	for _, p := range out {
		s.state(p.Name)
	}
	return out
}

// near says what there is of a name that a relation asks for.
func (s *solver) near(a alternative) []string {
	var out []string
	for _, p := range s.u.versions[a.name] {
		st := s.state(a.name)
		switch {
		case !s.u.allows(a, p):
			out = append(out, "there is "+p.Name+" "+p.Version)
		case st.current != nil:
			out = append(out, "the parent image holds "+p.Name+" "+st.current.Version)
		default:
			out = append(out, p.Name+" "+p.Version+" would be taken only if "+p.Name+"="+p.Version+" were asked for")
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
