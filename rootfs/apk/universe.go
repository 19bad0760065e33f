package apk

import (
	"encoding/binary"
	"math/bits"
)

// universe is what apk's solver sees: every name that anything provides,
// requires or mentions, and every package. It does not change after it was
// built, so that one serves many resolutions.
//
// apk's answer depends on the order in which names are visited, and that
// order comes from its hash table of names. The table is therefore rebuilt
// here to the letter: same hash, same number of buckets, newest name first.
type universe struct {
	names    []*name
	byName   map[string]int32
	packages []*candidate
	byID     map[identity]*candidate
	// installed lists what the root holds, in the order of its database.
	installed []*candidate
}

// name is one name of a database.
type name struct {
	id        int32
	text      string
	providers []provider
	// dependants and triggered are the names whose providers depend on this
	// one, or name it in their install_if.
	dependants []int32
	triggered  []int32
	// rank is 0 for a name that only packages of that name provide, 2 for a
	// name that only others provide, 1 for a mixture.
	rank int8
}

// provider is a package that gives a name, in a version or ("") without.
type provider struct {
	pkg     *candidate
	version string
}

// need is a dependency with its name looked up.
type need struct {
	name     int32
	op       Op
	version  string
	conflict bool
}

// candidate is a package with its names looked up.
type candidate struct {
	id                     int32
	pkg                    *Package
	name                   int32
	needs, gives, triggers []need
	installed              bool
	repository             int // 1 for the first index; 0 for none
	excluded               bool
}

// identity tells packages apart, as apk does, by their control checksum.
type identity [20]byte

// nameBuckets is the size of apk's hash table of names.
const nameBuckets = 20000

// builder fills a database in the order in which apk reads its files.
type builder struct {
	db       *universe
	excluded map[string]bool
}

// newUniverse reads, as apk does, first the world, then what is installed,
// then the indexes. Excluded packages keep their names and lose what they
// would pull in.
func newUniverse(world []Dependency, installed, available []*Package, excluded map[string]bool) *universe {
	size := 4 * (len(installed) + len(available))
	b := builder{excluded: excluded, db: &universe{
		names:  make([]*name, 0, size),
		byName: make(map[string]int32, size),
		byID:   make(map[identity]*candidate, len(installed)+len(available)),
	}}
	for _, d := range world {
		b.name(d.Name)
	}
	for _, p := range installed {
		c := b.add(p, 0)
		if !c.installed {
			c.installed = true
			b.db.installed = append(b.db.installed, c)
		}
	}
	repositories := map[string]int{}
	for _, p := range available {
		if repositories[p.Repository] == 0 {
			repositories[p.Repository] = len(repositories) + 1
		}
		b.add(p, repositories[p.Repository])
	}
	b.db.link()
	return b.db
}

// name finds or makes a name.
func (b *builder) name(text string) int32 {
	if id, ok := b.db.byName[text]; ok {
		return id
	}
	id := int32(len(b.db.names))
	b.db.names = append(b.db.names, &name{id: id, text: text})
	b.db.byName[text] = id
	return id
}

// add takes in one package; one that is known already only gains a
// repository.
func (b *builder) add(p *Package, repository int) *candidate {
	c := &candidate{pkg: p, repository: repository, excluded: b.excluded[p.Name]}
	c.name = b.name(p.Name)
	c.needs = b.needs(p.Depends)
	c.gives = b.needs(p.Provides)
	c.triggers = b.needs(p.InstallIf)
	for _, d := range p.Replaces {
		b.name(d.Name)
	}
	if c.excluded {
		c.needs, c.triggers = nil, nil
	}
	id, err := p.ControlSum()
	if known := b.db.byID[id]; err == nil && known != nil {
		if known.repository == 0 || repository != 0 && repository < known.repository {
			known.repository = repository
		}
		if known.pkg.Repository == "" {
			known.pkg = p
		}
		return known
	}
	b.db.byID[id] = c
	c.id = int32(len(b.db.packages))
	b.db.packages = append(b.db.packages, c)
	own := b.db.names[c.name]
	own.providers = append(own.providers, provider{c, p.Version})
	for _, g := range c.gives {
		n := b.db.names[g.name]
		n.providers = append(n.providers, provider{c, g.version})
	}
	return c
}

func (b *builder) needs(list []Dependency) []need {
	if len(list) == 0 {
		return nil
	}
	needs := make([]need, len(list))
	for i, d := range list {
		needs[i] = need{b.name(d.Name), d.Op, d.Version, d.Conflict}
	}
	return needs
}

// link fills in who depends on whom, name by name in the order of apk's hash
// table.
func (db *universe) link() {
	buckets := make([][]int32, nameBuckets)
	for _, n := range db.names {
		slot := nameHash(n.text) % nameBuckets
		buckets[slot] = append(buckets[slot], n.id)
	}
	lastDependant := make([]int32, len(db.names))
	lastTriggered := make([]int32, len(db.names))
	for i := range db.names {
		lastDependant[i], lastTriggered[i] = -1, -1
	}
	for _, bucket := range buckets {
		for i := len(bucket) - 1; i >= 0; i-- {
			n := db.names[bucket[i]]
			others := 0
			for _, p := range n.providers {
				if p.pkg.name != n.id {
					others++
				}
				for _, d := range p.pkg.needs {
					if lastDependant[d.name] != n.id {
						lastDependant[d.name] = n.id
						on := db.names[d.name]
						on.dependants = append(on.dependants, n.id)
					}
				}
				for _, d := range p.pkg.triggers {
					if lastTriggered[d.name] != n.id {
						lastTriggered[d.name] = n.id
						on := db.names[d.name]
						on.triggered = append(on.triggered, n.id)
					}
				}
			}
			switch {
			case others == 0:
				n.rank = 0
			case others == len(n.providers):
				n.rank = 2
			default:
				n.rank = 1
			}
		}
	}
}

// nameHash is MurmurHash3 for 32 bits with apk's seed.
func nameHash(s string) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	h := uint32(5381)
	data := []byte(s)
	mix := func(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }
	for len(data) >= 4 {
		h ^= mix(binary.LittleEndian.Uint32(data))
		h = bits.RotateLeft32(h, 13)*5 + 0xe6546b64
		data = data[4:]
	}
	if len(data) > 0 {
		var k uint32
		for i := len(data) - 1; i >= 0; i-- {
			k = k<<8 | uint32(data[i])
		}
		h ^= mix(k)
	}
	h ^= uint32(len(s))
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	return h
}
