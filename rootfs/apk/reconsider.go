package apk

// reconsider looks again at a name whose surroundings changed: which of its
// providers are still possible, whether one is triggered by install_if, and
// what all possible ones have in common.
func (s *solver) reconsider(id int32) {
	n := &s.name[id]
	checkNeeds, checkTriggers := n.checkNeeds, n.checkTriggers
	n.checkNeeds, n.checkTriggers = false, false

	triggered, untriggerable := false, true
	options := 0
	var first *candidate
	for _, p := range s.names[id].providers {
		state := &s.pkg[p.pkg.id]
		state.merged = false
		if checkNeeds && state.selectable && !s.needsSatisfiable(p.pkg) {
			s.disqualify(p.pkg)
		}
		if !state.selectable {
			continue
		}
		if checkTriggers {
			s.checkTriggers(p.pkg)
		}
		triggered = triggered || state.triggered
		untriggerable = untriggerable && state.untriggerable
		if n.requirers == 0 {
			continue
		}
		state.merged = true
		if first == nil {
			first = p.pkg
		}
		s.merge(p, options)
		options++
	}
	n.hasOptions = options > 1
	n.triggered, n.untriggerable = triggered, untriggerable
	s.queueUndecided(id)

	if first != nil {
		for _, p := range s.names[id].providers {
			state := &s.pkg[p.pkg.id]
			state.used = state.merged
		}
		s.pushCommonNeeds(first, options)
		s.pushCommonProvides(id, first, options)
	}
	n.dependantsDone = true
	for _, other := range s.names[id].dependants {
		if o := &s.name[other]; o.seen && !o.decided {
			n.dependantsDone = false
			break
		}
	}
}

func (s *solver) needsSatisfiable(c *candidate) bool {
	for _, d := range c.needs {
		if !s.satisfiable(d) {
			return false
		}
	}
	return true
}

// satisfiable says whether a dependency can still be met.
func (s *solver) satisfiable(d need) bool {
	n := &s.name[d.name]
	if n.decided {
		return d.metBy(n.chosen)
	}
	if n.requirers == 0 && d.metBy(none) {
		return true
	}
	for _, p := range s.names[d.name].providers {
		if s.pkg[p.pkg.id].selectable && d.metBy(p) {
			return true
		}
	}
	return false
}

// checkTriggers sees whether all of a package's install_if is decided and
// met.
func (s *solver) checkTriggers(c *candidate) {
	state := &s.pkg[c.id]
	if !state.triggered && !state.untriggerable {
		state.triggered = true
		for _, d := range c.triggers {
			n := &s.name[d.name]
			if !n.decided {
				state.triggered = false
				break
			}
			if !d.metBy(n.chosen) {
				state.triggered, state.untriggerable = false, true
				break
			}
		}
	}
	if state.triggered {
		for _, d := range c.triggers {
			s.inherit(c, s.name[d.name].chosen.pkg, false)
		}
	}
}

// merge counts what the providers of one name have in common: a name stays
// in the count only where every option so far needs, or provides, it.
func (s *solver) merge(p provider, options int) {
	for _, d := range p.pkg.needs {
		if n := &s.name[d.name]; !d.conflict && n.mergedNeeds == options {
			n.mergedNeeds++
		}
	}
	own := &s.name[p.pkg.name]
	if own.mergedProvides == options {
		own.mergedProvides++
		own.sharedWithoutVersion = own.sharedWithoutVersion || p.version == ""
	}
	for _, g := range p.pkg.gives {
		if n := &s.name[g.name]; n.mergedProvides == options {
			n.mergedProvides++
			n.sharedWithoutVersion = n.sharedWithoutVersion || g.version == ""
		}
	}
}

// pushCommonNeeds requires what every option requires. With one option left
// its dependencies hold in full, with several only their names.
func (s *solver) pushCommonNeeds(first *candidate, options int) {
	for _, d := range first.needs {
		n := &s.name[d.name]
		common := n.mergedNeeds == options
		n.mergedNeeds = 0
		switch {
		case !common:
		case options == 1:
			s.constrain(first, d, false)
		case n.requirers == 0:
			n.requirers = 1
			s.requirersChanged(d.name)
			for _, p := range s.names[d.name].providers {
				s.inherit(p.pkg, first, false)
			}
		}
	}
}

// pushCommonProvides rules out, for every name that all options provide, the
// providers that do not also provide id: two packages cannot have the same
// versioned name.
func (s *solver) pushCommonProvides(id int32, first *candidate, options int) {
	s.excludeOthers(first.name, id, options)
	for _, g := range first.gives {
		s.excludeOthers(g.name, id, options)
	}
	s.name[first.name].sharedWithoutVersion = false
	for _, g := range first.gives {
		s.name[g.name].sharedWithoutVersion = false
	}
}

func (s *solver) excludeOthers(shared, id int32, options int) {
	n := &s.name[shared]
	common := n.mergedProvides == options
	n.mergedProvides = 0
	if !common || shared == id {
		return
	}
	skipUnversioned := n.sharedWithoutVersion
	for _, p := range s.names[shared].providers {
		if p.pkg.name == id || !s.pkg[p.pkg.id].selectable || skipUnversioned && p.version == "" {
			continue
		}
		if !givesOr(p.pkg, id, skipUnversioned) {
			s.disqualify(p.pkg)
		}
	}
}

// givesOr says whether a package provides a name, or, where unversioned is
// set, anything without version.
func givesOr(c *candidate, id int32, unversioned bool) bool {
	for _, g := range c.gives {
		if g.name == id || unversioned && g.version == "" {
			return true
		}
	}
	return false
}
