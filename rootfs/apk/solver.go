package apk

// solver decides which package every name resolves to. It works as apk's
// does: constraints are pushed down and disqualifications up until nothing
// moves, then the name that is most certain is decided, and so on, without
// ever going back. What it decides it therefore decides in apk's order.
type solver struct {
	db *universe
	// names are the database's and those that only the request mentions.
	names    []*name
	byName   map[string]int32
	name     []nameState
	pkg      []packageState
	world    []need
	upgrade  bool
	dirty    []int32
	first    int32 // head of the undecided names, newest first; -1 is none
	failures int
	changes  []Change

	installedPackage []*candidate // by name
	installedName    []int32      // by name; -1 is none
}

// nameState is what the solver knows of a name.
type nameState struct {
	requirers      int
	mergedNeeds    int
	mergedProvides int
	depth          uint16
	next, previous int32

	asked, seen, dirty, undecided bool
	checkNeeds, checkTriggers     bool
	triggered, untriggerable      bool
	hasOptions, dependantsDone    bool
	sharedWithoutVersion          bool
	decided                       bool
	changed                       bool
	chosen                        provider
}

// packageState is what the solver knows of a package.
type packageState struct {
	conflicts                   int
	depth                       uint16
	seen, selectable            bool
	merged, used                bool
	triggered, untriggerable    bool
	upgrade, upgradeInheritable bool
	failed, changed             bool
}

// none stands for no package at all.
var none = provider{}

// newSolver prepares a resolution of asked on top of world.
func newSolver(db *universe, world, asked []Dependency, upgrade bool) *solver {
	s := &solver{
		db:     db,
		names:  db.names[:len(db.names):len(db.names)],
		byName: map[string]int32{},
		name:   make([]nameState, len(db.names), len(db.names)+len(asked)),
		pkg:    make([]packageState, len(db.packages)),
		first:  -1, upgrade: upgrade,
	}
	for _, d := range world {
		s.want(d)
	}
	for _, d := range asked {
		id := s.want(d)
		// apk add decides first what it was asked for, apk upgrade does not.
		s.name[id].asked = !upgrade
	}
	sortWorld(s.world, s.names)
	return s
}

// want adds a wish to the world; a later one replaces an earlier one for the
// same name.
func (s *solver) want(d Dependency) int32 {
	id := s.nameID(d.Name)
	wish := need{id, d.Op, d.Version, d.Conflict}
	for i := range s.world {
		if s.world[i].name == id {
			s.world[i] = wish
			return id
		}
	}
	s.world = append(s.world, wish)
	return id
}

func (s *solver) nameID(text string) int32 {
	if id, ok := s.db.byName[text]; ok {
		return id
	}
	if id, ok := s.byName[text]; ok {
		return id
	}
	id := int32(len(s.names))
	s.names = append(s.names, &name{id: id, text: text})
	s.name = append(s.name, nameState{})
	s.byName[text] = id
	return id
}

// solve runs to the end and says whether everything could be met.
func (s *solver) solve() bool {
	for _, d := range s.world {
		s.discover(d.name)
	}
	for _, d := range s.world {
		s.constrain(nil, d, s.upgrade)
	}
	for {
		for len(s.dirty) > 0 {
			id := s.dirty[0]
			s.dirty = s.dirty[1:]
			if s.name[id].dirty {
				s.name[id].dirty = false
				s.reconsider(id)
			}
		}
		id, ok := s.nextUndecided()
		if !ok {
			break
		}
		s.decide(id)
	}
	s.collectChanges()
	return s.failures == 0
}

// discover looks at a name for the first time, and at everything that it
// leads to.
func (s *solver) discover(id int32) {
	n := &s.name[id]
	if n.seen {
		return
	}
	n.seen, n.untriggerable = true, true
	providers := s.names[id].providers
	for _, p := range providers {
		c := p.pkg
		state := &s.pkg[c.id]
		if !state.seen {
			state.seen, state.selectable = true, true
			state.untriggerable = len(c.triggers) == 0
			for _, d := range c.needs {
				s.discover(d.name)
				state.depth = max(state.depth, s.name[d.name].depth+1)
			}
		}
		n.untriggerable = n.untriggerable && state.untriggerable
		n.depth = max(n.depth, state.depth)
	}
	for _, p := range providers {
		s.discoverAll(s.names[p.pkg.name].triggered)
		for _, d := range p.pkg.gives {
			if !s.name[d.name].seen {
				s.discoverAll(s.names[d.name].triggered)
			}
		}
	}
}

func (s *solver) discoverAll(ids []int32) {
	for _, id := range ids {
		s.discover(id)
	}
}

// constrain applies a dependency of from (nil: the world) to all that could
// meet it.
func (s *solver) constrain(from *candidate, d need, upgrade bool) {
	n := &s.name[d.name]
	if !d.conflict {
		n.requirers++
		if n.requirers == 1 {
			s.requirersChanged(d.name)
		}
	}
	for _, p := range s.names[d.name].providers {
		met := d.metBy(p)
		state := &s.pkg[p.pkg.id]
		if !met {
			state.conflicts++
		}
		if state.selectable && state.conflicts != 0 {
			s.disqualify(p.pkg)
		}
		if met {
			s.inherit(p.pkg, from, upgrade)
		}
	}
}

// inherit passes the wish for newer versions down.
func (s *solver) inherit(to, from *candidate, upgrade bool) {
	if from != nil {
		upgrade = s.pkg[from.id].upgradeInheritable
	}
	state := &s.pkg[to.id]
	state.upgrade = state.upgrade || upgrade
	state.upgradeInheritable = state.upgradeInheritable || upgrade
}

func (s *solver) requirersChanged(id int32) {
	s.queueUndecided(id)
	s.recheckTriggers(id)
	s.queueDirty(id)
}

// disqualify rules a package out and has everything that may need it looked
// at again.
func (s *solver) disqualify(c *candidate) {
	s.pkg[c.id].selectable = false
	s.recheckDependants(c.name)
	for _, d := range c.gives {
		s.recheckDependants(d.name)
	}
	s.recheckTriggersOf(c)
}

func (s *solver) recheckDependants(id int32) {
	for _, other := range s.names[id].dependants {
		if s.name[other].seen {
			s.name[other].checkNeeds = true
			s.queueDirty(other)
		}
	}
}

func (s *solver) recheckTriggers(id int32) {
	for _, other := range s.names[id].triggered {
		if n := &s.name[other]; n.seen && !n.untriggerable {
			n.checkTriggers = true
			s.queueDirty(other)
		}
	}
}

func (s *solver) recheckTriggersOf(c *candidate) {
	s.recheckTriggers(c.name)
	for _, d := range c.gives {
		s.recheckTriggers(d.name)
	}
}

func (s *solver) queueDirty(id int32) {
	n := &s.name[id]
	if n.dirty || n.decided || n.requirers == 0 && !n.checkTriggers {
		return
	}
	n.dirty = true
	s.dirty = append(s.dirty, id)
}

// queueUndecided puts a name that something wants in front of the undecided
// ones, and takes out one that nothing wants any more.
func (s *solver) queueUndecided(id int32) {
	n := &s.name[id]
	wanted := n.requirers > 0 || n.triggered
	switch {
	case n.decided || wanted == n.undecided:
	case wanted:
		n.undecided, n.previous, n.next = true, -1, s.first
		if s.first >= 0 {
			s.name[s.first].previous = id
		}
		s.first = id
	default:
		s.unqueueUndecided(id)
	}
}

func (s *solver) unqueueUndecided(id int32) {
	n := &s.name[id]
	if !n.undecided {
		return
	}
	n.undecided = false
	if n.previous >= 0 {
		s.name[n.previous].next = n.next
	} else {
		s.first = n.next
	}
	if n.next >= 0 {
		s.name[n.next].previous = n.previous
	}
}

// metBy says whether a provider (or, with none, nothing) meets a dependency.
func (d need) metBy(p provider) bool {
	if p.pkg == nil {
		return d.conflict
	}
	switch d.op {
	case Checksum:
		wanted, err := parseQ1(d.version)
		has, _ := p.pkg.pkg.ControlSum()
		return err == nil && wanted == has
	case Any:
		return !d.conflict
	}
	if p.version == "" {
		return d.conflict
	}
	if relation(d.op)&compare(p.version, d.version, d.op&0x10 != 0) != 0 {
		return !d.conflict
	}
	return d.conflict
}
