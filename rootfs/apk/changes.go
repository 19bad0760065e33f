package apk

// Change is one step from what a root holds to what was decided: New without
// Old is installed, Old without New is removed, both are the same where
// nothing happens.
type Change struct{ Old, New *Package }

// collectChanges lists what changes, in the order in which apk would carry
// it out, and finds the dependencies that the decisions left unmet.
func (s *solver) collectChanges() {
	s.installedPackage = make([]*candidate, len(s.names))
	s.installedName = make([]int32, len(s.names))
	for i := range s.names {
		s.installedName[i] = -1
		s.name[i].requirers = 0
	}
	for _, c := range s.db.installed {
		s.installedPackage[c.name] = c
		s.installedName[c.name] = c.name
		for _, g := range c.gives {
			if g.version != "" {
				s.installedName[g.name] = c.name
			}
		}
	}
	for _, c := range s.db.installed {
		s.countNeeds(c)
	}
	for _, c := range s.db.installed {
		s.removeUnneeded(c)
	}
	for _, d := range s.world {
		s.changeNeed(nil, d)
	}
	for _, c := range s.db.installed {
		s.changeName(c.name)
	}
}

// countNeeds adds one requirer to every installed name that c depends on.
func (s *solver) countNeeds(c *candidate) {
	for _, d := range c.needs {
		if on := s.installedName[d.name]; !d.conflict && on >= 0 {
			s.name[on].requirers++
		}
	}
}

// uncountNeeds takes c's requirers back and removes what loses its last.
func (s *solver) uncountNeeds(c *candidate) {
	for _, d := range c.needs {
		on := s.installedName[d.name]
		if d.conflict || on < 0 {
			continue
		}
		s.name[on].requirers--
		if s.name[on].requirers == 0 && s.installedPackage[d.name] != nil {
			s.remove(s.installedPackage[d.name])
		}
	}
}

func (s *solver) removeUnneeded(c *candidate) {
	if n := &s.name[c.name]; n.requirers == 0 && n.chosen.pkg == nil {
		s.remove(c)
	}
}

// remove takes an installed package away, its dependants first.
func (s *solver) remove(c *candidate) {
	n := &s.name[c.name]
	if s.pkg[c.id].changed || n.chosen.pkg != nil && n.chosen.pkg.name == c.name {
		return
	}
	n.changed, s.pkg[c.id].changed = true, true
	s.removeDependants(c, c.name)
	for _, g := range c.gives {
		s.removeDependants(c, g.name)
	}
	s.eachTriggered(c, s.removeUntriggered)
	s.record(c, nil)
	s.uncountNeeds(c)
}

// removeDependants removes the installed packages whose dependency c meets.
func (s *solver) removeDependants(c *candidate, id int32) {
	for _, other := range s.names[id].dependants {
		for _, p := range s.names[other].providers {
			if !p.pkg.installed {
				continue
			}
			for _, d := range p.pkg.needs {
				if c.meets(d) {
					s.remove(p.pkg)
				}
			}
		}
	}
}

// meets says whether a package, by its name or by what it provides, gives
// what a dependency asks for.
func (c *candidate) meets(d need) bool {
	if d.name == c.name {
		return d.metBy(provider{c, c.pkg.Version})
	}
	for _, g := range c.gives {
		if g.name == d.name {
			return d.metBy(provider{c, g.version})
		}
	}
	return false
}

func (s *solver) eachTriggered(c *candidate, do func(int32)) {
	if c == nil {
		return
	}
	for _, id := range s.names[c.name].triggered {
		do(id)
	}
	for _, g := range c.gives {
		for _, id := range s.names[g.name].triggered {
			do(id)
		}
	}
}

func (s *solver) removeUntriggered(id int32) {
	c, n := s.installedPackage[id], &s.name[id]
	if c == nil || n.changed || n.chosen.pkg != nil {
		return
	}
	for _, d := range c.triggers {
		if on := &s.name[d.name]; on.changed && on.chosen.pkg == nil {
			s.removeUnneeded(c)
			return
		}
	}
}

func (s *solver) installTriggered(id int32) {
	n := &s.name[id]
	if n.chosen.pkg == nil || !n.seen || n.changed {
		return
	}
	for _, d := range n.chosen.pkg.triggers {
		if on := &s.name[d.name]; !on.changed || !d.metBy(on.chosen) {
			return
		}
	}
	s.changeName(id)
}

// replaceOld removes what a name was installed as, where something else has
// the name now.
func (s *solver) replaceOld(id int32) {
	n := &s.name[id]
	if n.changed {
		return
	}
	n.changed = true
	if old := s.installedPackage[id]; old != nil && (n.chosen.pkg == nil || n.chosen.pkg.name != id) {
		s.remove(old)
	}
	for _, p := range s.names[id].providers {
		if s.installedPackage[p.pkg.name] == p.pkg && s.name[p.pkg.name].chosen.pkg == nil {
			s.remove(p.pkg)
		}
	}
}

func (s *solver) changeName(id int32) {
	if s.name[id].changed {
		return
	}
	s.replaceOld(id)
	c := s.name[id].chosen.pkg
	if c == nil || s.pkg[c.id].changed {
		return
	}
	s.pkg[c.id].changed = true
	s.replaceOld(c.name)
	for _, g := range c.gives {
		s.replaceOld(g.name)
	}
	old := s.installedPackage[c.name]
	s.eachTriggered(old, s.removeUntriggered)
	for _, d := range c.needs {
		s.changeNeed(c, d)
	}
	s.record(old, c)
	s.eachTriggered(c, s.installTriggered)
	s.countNeeds(c)
	if old != nil {
		s.uncountNeeds(old)
	}
}

// changeNeed follows a dependency of from (nil: the world).
func (s *solver) changeNeed(from *candidate, d need) {
	n := &s.name[d.name]
	if !d.metBy(n.chosen) {
		s.fail(from)
	}
	s.changeName(d.name)
	if c := n.chosen.pkg; c != nil && s.pkg[c.id].failed {
		s.fail(from)
	}
}

func (s *solver) record(old, new *candidate) {
	var change Change
	if old != nil {
		change.Old = old.pkg
	}
	if new != nil {
		if new.excluded {
			return
		}
		change.New = new.pkg
	}
	s.changes = append(s.changes, change)
}
