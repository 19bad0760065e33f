package deb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// Request asks for a closure.
type Request struct {
	// Roots are the packages that a layer names: name or name=version.
	Roots []recipes.Package
	// Held are the parent's packages. They count as installed and stay.
	Held []recipes.Artifact
	// Exclude are left out: whatever needs them counts as satisfied.
	Exclude []recipes.Exclude
}

// Resolve returns the packages that the roots pull in, sorted by name, and
// none of those that are held. It chooses as apt does without
// recommendations; the same index and request give the same answer.
func (ix *Index) Resolve(req Request) ([]*Package, error) {
	return ix.universe.resolve(req)
}

func (u *universe) resolve(req Request) ([]*Package, error) {
	s, err := newSolver(u, req)
	if err != nil {
		return nil, err
	}
	roots, err := s.roots(req.Roots)
	if err != nil {
		return nil, err
	}
	for _, r := range roots {
		r.protected = true
		s.install(r, false, 0, true)
	}
	for _, r := range roots {
		s.install(r, true, 0, true)
	}
	if err := s.broken(roots); err != nil {
		return nil, err
	}
	return s.chosen(roots), nil
}

// roots finds the packages that are asked for by name. A virtual name does
// where one package alone provides it, as with apt.
func (s *solver) roots(wanted []recipes.Package) ([]*state, error) {
	var out []*state
	for _, w := range wanted {
		name, ver, pinned := strings.Cut(w.Name, "=")
		st, err := s.root(name)
		if err == nil && pinned {
			err = s.pin(st, ver)
		}
		if err != nil {
			if w.Pos.File != "" {
				return nil, fmt.Errorf("%s: %w", w.Pos, err)
			}
			return nil, err
		}
		if !slices.Contains(out, st) {
			out = append(out, st)
		}
	}
	return out, nil
}

func (s *solver) root(name string) (*state, error) {
	if reason, ok := s.excluded[name]; ok {
		return nil, fmt.Errorf("package %s is asked for and excluded (%s)", name, reason)
	}
	if !validName(name) {
		return nil, fmt.Errorf("%q is no package name", name)
	}
	if len(s.u.versions[name]) > 0 {
		return s.state(name), nil
	}
	var names []string
	for _, pr := range s.u.provided[name] {
		if s.state(pr.p.Name).candidate == pr.p {
			names = append(names, pr.p.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch len(names) {
	case 1:
		return s.state(names[0]), nil
	case 0:
		return nil, fmt.Errorf("package %s is in no index of %s", name, s.u.arch)
	}
	return nil, fmt.Errorf("package %s is virtual; name one of those that provide it: %s", name, strings.Join(names, ", "))
}

// pin makes one version of a package the only one to choose.
func (s *solver) pin(st *state, ver string) error {
	want, err := parseVersion(ver)
	if err != nil {
		return fmt.Errorf("package %s: %w", st.name, err)
	}
	var there []string
	for _, p := range s.u.versions[st.name] {
		if (alternative{op: "=", ver: want}).allows(p.ver) {
			if st.current != nil && st.current != p {
				return fmt.Errorf("package %s=%s is asked for; the parent image holds %s", st.name, ver, st.current.Version)
			}
			st.candidate, st.first = p, p
			return nil
		}
		there = append(there, p.Version)
	}
	return fmt.Errorf("package %s has no version %s; the index has %s", st.name, ver, strings.Join(there, ", "))
}

// chosen are the new packages that something needs: what was chosen on the
// way and then lost its reason is left out.
func (s *solver) chosen(roots []*state) []*Package {
	needed := map[*state]bool{}
	queue := slices.Clone(roots)
	for _, st := range s.states {
		if p := st.installed(); p != nil && (p.essential || st.current != nil) {
			queue = append(queue, st)
		}
	}
	for len(queue) > 0 {
		st := queue[0]
		queue = queue[1:]
		if needed[st] || st.installed() == nil {
			continue
		}
		needed[st] = true
		for _, rel := range s.relations(st.installed()).needs {
			for _, a := range rel {
				for _, p := range s.meeting(a, (*state).installed) {
					queue = append(queue, s.state(p.Name))
				}
			}
		}
	}
	var out []*Package
	for st := range needed {
		if st.current == nil {
			out = append(out, st.installed())
		}
	}
	slices.SortFunc(out, func(a, b *Package) int { return strings.Compare(a.Name, b.Name) })
	return out
}
