package deb

import (
	"fmt"
	"slices"
)

// maxDepth bounds how far one package may lead to another.
const maxDepth = 3000

// solver marks packages for installation one after another, depth first, in
// the order and with the preferences of apt's own marking: a dependency is
// met by the best candidate of its first alternative that can be installed; a
// candidate that cannot be installed is given up for good; whatever lies on
// the way from a root to where the marking stands is not undone.
type solver struct {
	u        *universe
	states   map[string]*state
	excluded map[string]string // name: reason
	rels     map[*Package]relations
	err      error // of reading a relation field
}

// state is what is to become of one package name.
type state struct {
	name      string
	candidate *Package // what would be installed; nil: nothing can be
	first     *Package // the candidate before anything was given up
	current   *Package // what the parent holds
	chosen    *Package // what is marked for installation
	protected bool
	// by is who first wanted the package, for messages.
	by *Package
}

// installed is the version that the finished image would hold.
func (st *state) installed() *Package {
	if st.chosen != nil {
		return st.chosen
	}
	return st.current
}

func newSolver(u *universe, req Request) (*solver, error) {
	s := &solver{u: u, states: map[string]*state{}, excluded: map[string]string{}, rels: map[*Package]relations{}}
	for _, x := range req.Exclude {
		s.excluded[x.Name] = x.Reason
	}
	for _, a := range req.Held {
		st := s.state(a.Name)
		i := slices.IndexFunc(u.versions[a.Name], func(p *Package) bool { return p.Version == a.Version })
		if i < 0 {
			return nil, fmt.Errorf("package %s %s of the parent image is in no index any more: lock the parent anew (lock --refresh)", a.Name, a.Version)
		}
		st.current = u.versions[a.Name][i]
		st.candidate, st.first = st.current, st.current
	}
	return s, nil
}

// state returns the state of a name, made when it is first asked for.
func (s *solver) state(name string) *state {
	st, ok := s.states[name]
	if !ok {
		st = &state{name: name}
		if _, out := s.excluded[name]; !out && len(s.u.versions[name]) > 0 {
			st.candidate = s.u.versions[name][0]
			st.first = st.candidate
		}
		s.states[name] = st
	}
	return st
}

// relations returns what a package needs and conflicts with.
func (s *solver) relations(p *Package) relations {
	r, ok := s.rels[p]
	if !ok {
		var err error
		if r, err = p.relations(); err != nil && s.err == nil {
			s.err = err
		}
		s.rels[p] = r
	}
	return r
}

// meeting lists the packages that meet an alternative, among the versions
// that at returns of each name.
func (s *solver) meeting(a alternative, at func(*state) *Package) []*Package {
	var out []*Package
	if p := at(s.state(a.name)); p != nil && s.u.allows(a, p) {
		out = append(out, p)
	}
	for _, pr := range s.u.provided[a.name] {
		if at(s.state(pr.p.Name)) == pr.p && s.u.allowsProvided(a, pr) && !slices.Contains(out, pr.p) {
			out = append(out, pr.p)
		}
	}
	return out
}

func candidateOf(st *state) *Package { return st.candidate }

// met says whether a relation is met by what at returns, or by an exclusion.
func (s *solver) met(r relation, at func(*state) *Package) bool {
	for _, a := range r {
		if _, out := s.excluded[a.name]; out || len(s.meeting(a, at)) > 0 {
			return true
		}
	}
	return false
}

// against lists the packages that a Conflicts or Breaks of p hits. Nothing
// conflicts with itself.
func (s *solver) against(p *Package, r relation, at func(*state) *Package) []*Package {
	var out []*Package
	for _, a := range r {
		for _, hit := range s.meeting(a, at) {
			if hit.Name != p.Name {
				out = append(out, hit)
			}
		}
	}
	return out
}

// unmet returns the first relation of an installed package that does not
// hold: a need, or a conflict and what it hits.
func (s *solver) unmet(p *Package) (need, conflict relation, hit *Package) {
	rels := s.relations(p)
	for _, r := range rels.needs {
		if !s.met(r, (*state).installed) {
			return r, nil, nil
		}
	}
	for _, r := range rels.conflicts {
		if hits := s.against(p, r, (*state).installed); len(hits) > 0 {
			return nil, r, hits[0]
		}
	}
	return nil, nil, nil
}

func (s *solver) sound(st *state) bool {
	p := st.installed()
	if p == nil {
		return true
	}
	need, conflict, _ := s.unmet(p)
	return need == nil && conflict == nil
}

// install marks a package; follow marks what it needs too. A root is wanted
// by the user. It returns false where that cannot be.
func (s *solver) install(st *state, follow bool, depth int, user bool) bool {
	if !s.mayInstall(st, depth, user) || st.candidate == nil {
		return false
	}
	if !st.protected && s.sound(st) && (st.candidate == st.current || st.chosen != nil) {
		return true
	}
	if follow && !s.satisfiable(st) {
		return false
	}
	if user {
		s.choose(st)
	}
	early := !st.protected && !user
	ok := true
	var needs []relation
	if follow {
		var conflicts []relation
		needs, conflicts = s.open(st)
		if !s.giveWay(st, conflicts, user) {
			if early {
				return false
			}
			ok = false
		}
	}
	if !user {
		s.choose(st)
	}
	if !follow {
		return ok
	}
	propagate := st.protected
	st.protected = true
	if !s.follow(st, needs, depth, propagate, user) {
		ok = false
		if early {
			s.giveUp(st)
		}
	}
	st.protected = propagate
	return ok
}

// mayInstall says whether the mark of a package may be changed at all.
func (s *solver) mayInstall(st *state, depth int, user bool) bool {
	switch {
	case depth > maxDepth:
		return false
	case user || st.chosen != nil || st.current != nil:
		return true
	}
	return !st.protected
}

func (s *solver) choose(st *state) {
	if st.candidate != st.current {
		st.chosen = st.candidate
	}
}

// giveUp takes the mark back, and the candidate with it.
func (s *solver) giveUp(st *state) {
	st.chosen = nil
	st.candidate = st.current
}

// satisfiable says whether all that a candidate needs could be met by some
// candidate. One that is not is given up.
func (s *solver) satisfiable(st *state) bool {
	if st.candidate == st.current {
		return true
	}
	for _, r := range s.relations(st.candidate).needs {
		if s.met(r, (*state).installed) || s.met(r, candidateOf) {
			continue
		}
		if !st.protected {
			s.giveUp(st)
		}
		return false
	}
	return true
}

// open are the relations of a candidate that do not hold yet; all of them for
// a protected one, whose wishes are passed on.
func (s *solver) open(st *state) (needs, conflicts []relation) {
	rels := s.relations(st.candidate)
	if st.protected {
		return rels.needs, rels.conflicts
	}
	for _, r := range rels.needs {
		if !s.met(r, (*state).installed) {
			needs = append(needs, r)
		}
	}
	for _, r := range rels.conflicts {
		if len(s.against(st.candidate, r, (*state).installed)) > 0 {
			conflicts = append(conflicts, r)
		}
	}
	return needs, conflicts
}

// giveWay unmarks what a candidate conflicts with. What is protected or held
// stays, and the candidate cannot be.
func (s *solver) giveWay(st *state, conflicts []relation, user bool) bool {
	ok := true
	for _, r := range conflicts {
		for _, hit := range s.against(st.candidate, r, candidateOf) {
			other := s.state(hit.Name)
			switch {
			case other.candidate != hit:
			case other.current == hit:
				ok = false
			case other.chosen != nil && other.protected:
				ok = false
			default:
				other.chosen = nil
				if st.protected {
					other.candidate = other.current
					other.protected = other.protected || other.current == nil
				}
			}
			if !ok && !st.protected && !user {
				return false
			}
		}
	}
	return ok
}

// follow marks what a package needs.
func (s *solver) follow(st *state, needs []relation, depth int, propagate, user bool) bool {
	ok := true
	for _, r := range needs {
		if s.met(r, (*state).installed) {
			if propagate && !s.pass(r, depth) {
				ok = false
			}
			continue
		}
		if s.meet(st, r, depth, propagate) {
			continue
		}
		ok = false
		if !propagate && !user {
			return false
		}
	}
	return ok
}

// pass protects the one package that can meet a relation of a protected one.
func (s *solver) pass(r relation, depth int) bool {
	var all []*Package
	for _, a := range r {
		if _, out := s.excluded[a.name]; out {
			return true
		}
		all = append(all, s.meeting(a, candidateOf)...)
		all = append(all, s.meeting(a, func(st *state) *Package { return st.current })...)
	}
	all = s.possible(unique(all))
	if len(all) != 1 || s.state(all[0].Name).protected {
		return true
	}
	only := s.state(all[0].Name)
	only.protected = true
	return s.install(only, true, depth+1, false)
}

// meet installs the best package that meets a relation and can be installed.
func (s *solver) meet(st *state, r relation, depth int, propagate bool) bool {
	all := s.solutions(r)
	for _, p := range all {
		other := s.state(p.Name)
		if other.candidate != p {
			continue
		}
		if other.by == nil {
			other.by = st.candidate
		}
		if propagate && len(all) == 1 {
			if !s.install(other, false, depth+1, false) {
				continue
			}
			other.protected = true
		}
		if s.install(other, true, depth+1, false) {
			return true
		}
	}
	return false
}

// solutions are the candidates that meet a relation, best first: alternatives
// in their order, what the parent holds before what would be new.
func (s *solver) solutions(r relation) []*Package {
	var held, fresh []*Package
	for _, a := range r {
		list := s.meeting(a, candidateOf)
		order := s.u.before(a.name)
		slices.SortStableFunc(list, func(x, y *Package) int {
			px, py := s.state(x.Name).protected, s.state(y.Name).protected
			if px != py {
				if px {
					return -1
				}
				return 1
			}
			return order(x, y)
		})
		for _, p := range list {
			if s.state(p.Name).current != nil {
				held = append(held, p)
			} else {
				fresh = append(fresh, p)
			}
		}
	}
	return s.possible(unique(append(held, fresh...)))
}

// possible leaves out what is protected from being installed.
func (s *solver) possible(list []*Package) []*Package {
	return slices.DeleteFunc(list, func(p *Package) bool {
		st := s.state(p.Name)
		return st.protected && st.installed() == nil
	})
}

func unique(list []*Package) []*Package {
	var out []*Package
	for _, p := range list {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
