package apk

import (
	"cmp"
	"slices"
	"strings"
)

// nextUndecided picks the name to decide: one that leaves no choice and that
// nothing undecided depends on, else the best by surer.
func (s *solver) nextUndecided() (int32, bool) {
	best := int32(-1)
	for id := s.first; id >= 0; id = s.name[id].next {
		n := &s.name[id]
		if n.dependantsDone && n.requirers > 0 && !n.hasOptions {
			return id, true
		}
		if best < 0 || s.surer(id, best) < 0 {
			best = id
		}
	}
	return best, best >= 0
}

// surer orders undecided names: those that were asked for, those that are
// real packages, those with the longest chain of dependencies, those that
// something requires.
func (s *solver) surer(a, b int32) int {
	x, y := &s.name[a], &s.name[b]
	return cmp.Or(
		yesFirst(x.asked, y.asked),
		cmp.Compare(s.names[a].rank, s.names[b].rank),
		cmp.Compare(y.depth, x.depth),
		yesFirst(x.requirers > 0, y.requirers > 0),
	)
}

func yesFirst(a, b bool) int { return weight(b) - weight(a) }

func weight(b bool) int {
	if b {
		return 1
	}
	return 0
}

// decide settles a name: the best provider that may be taken, or none.
func (s *solver) decide(id int32) {
	n := &s.name[id]
	chosen := none
	if n.requirers > 0 || n.triggered {
		for _, p := range s.names[id].providers {
			if n.requirers == 0 && !s.pkg[p.pkg.id].triggered {
				continue
			}
			if !s.mayBeChosen(p) {
				continue
			}
			if s.better(p, chosen) > 0 {
				chosen = p
			}
		}
	}
	c := chosen.pkg
	if c == nil {
		s.assign(id, none)
		if n.requirers > 0 {
			s.failures++
		}
		return
	}
	if !s.pkg[c.id].selectable {
		s.fail(c)
	}
	s.assign(c.name, provider{c, c.pkg.Version})
	for _, g := range c.gives {
		s.assign(g.name, provider{c, g.version})
	}
	for _, d := range c.needs {
		s.constrain(c, d, false)
	}
}

// mayBeChosen keeps a package that provides a name without version from
// being taken for it, unless its priority says so or it is required anyway.
func (s *solver) mayBeChosen(p provider) bool {
	return p.version != "" || p.pkg.pkg.ProviderPriority != 0 || s.name[p.pkg.name].requirers > 0
}

// better compares two providers of the same name; above zero, a is taken.
func (s *solver) better(a, b provider) int {
	if a.pkg == nil || b.pkg == nil {
		return weight(a.pkg != nil) - weight(b.pkg != nil)
	}
	x, y := &s.pkg[a.pkg.id], &s.pkg[b.pkg.id]
	upgrade := x.upgrade || y.upgrade
	installed := weight(a.pkg.installed) - weight(b.pkg.installed)
	r := cmp.Or(
		weight(x.selectable)-weight(y.selectable),
		weight(x.used)-weight(y.used),
		y.conflicts-x.conflicts,
	)
	if r != 0 {
		return r
	}
	if !upgrade && installed != 0 {
		return installed
	}
	if r := CompareVersions(a.version, b.version); r != 0 {
		return r
	}
	if a.pkg.name == b.pkg.name {
		if r := CompareVersions(a.pkg.pkg.Version, b.pkg.pkg.Version); r != 0 {
			return r
		}
	}
	return cmp.Or(
		installed,
		a.pkg.pkg.ProviderPriority-b.pkg.pkg.ProviderPriority,
		b.pkg.repository-a.pkg.repository,
	)
}

// assign gives a name to a provider for good and rules the others out. Two
// packages may share a name only where both provide it without version.
func (s *solver) assign(id int32, p provider) {
	n := &s.name[id]
	if n.decided {
		if p.version == "" && n.chosen.version == "" {
			return
		}
		s.fail(p.pkg)
		s.fail(n.chosen.pkg)
		return
	}
	n.decided, n.chosen = true, p
	s.unqueueUndecided(id)
	n.dirty = false
	for _, other := range s.names[id].providers {
		if other.pkg == p.pkg || p.version == "" && other.version == "" {
			continue
		}
		s.disqualify(other.pkg)
	}
	s.recheckDependants(id)
	if p.pkg != nil {
		s.recheckTriggersOf(p.pkg)
	} else {
		s.recheckTriggers(id)
	}
}

// fail marks a package that cannot be installed as decided.
func (s *solver) fail(c *candidate) {
	if c == nil || s.pkg[c.id].failed {
		return
	}
	s.pkg[c.id].failed = true
	s.failures++
}

// sortWorld orders wishes by name without regard to case.
func sortWorld(world []need, names []*name) {
	slices.SortStableFunc(world, func(a, b need) int {
		x, y := names[a.name].text, names[b.name].text
		return cmp.Or(strings.Compare(lower(x), lower(y)), strings.Compare(x, y))
	})
}

// lower folds ASCII letters only, as strcasecmp in the C locale does.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
