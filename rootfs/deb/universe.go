package deb

import (
	"cmp"
	"slices"
	"strings"

	"pault.ag/go/debian/version"
)

// universe is all packages that a resolver may choose from.
type universe struct {
	arch     string
	versions map[string][]*Package // by name, highest version first
	provided map[string][]provider // by virtual name
	number   map[string]int32      // of a name: when the indexes first mention it
	count    int
}

// provider is a package that provides a virtual one.
type provider struct {
	p  *Package
	as alternative
}

func newUniverse(arch string) *universe {
	return &universe{arch: arch, versions: map[string][]*Package{}, provided: map[string][]provider{}, number: map[string]int32{}}
}

// add takes a package and the paragraph it came from. The first of two equal
// versions stays: suites are added in the order of their trust.
func (u *universe) add(p *Package, para paragraph) {
	u.mention(p.Name)
	for _, f := range mentioned() {
		u.mentionAll(para.get(f))
	}
	for _, old := range u.versions[p.Name] {
		if version.Compare(old.ver, p.ver) == 0 {
			return
		}
	}
	u.count++
	u.versions[p.Name] = append(u.versions[p.Name], p)
	slices.SortStableFunc(u.versions[p.Name], func(a, b *Package) int { return version.Compare(b.ver, a.ver) })
	for _, a := range p.provides {
		u.provided[a.name] = append(u.provided[a.name], provider{p, a})
	}
}

// mention numbers a package name that has none yet.
func (u *universe) mention(name string) {
	if _, ok := u.number[name]; !ok {
		u.number[strings.Clone(name)] = int32(len(u.number))
	}
}

// mentionAll numbers the names of a relation field. A name with ":any" is
// another one to apt, and so is one of a foreign architecture.
func (u *universe) mentionAll(text string) {
	for text != "" {
		var part string
		part, text = cutRelation(text)
		part, _, _ = strings.Cut(part, "(")
		name, arch, qualified := strings.Cut(strings.TrimSpace(part), ":")
		if name != "" && (!qualified || strings.TrimSpace(arch) == u.arch) {
			u.mention(name)
		}
	}
}

// cutRelation splits off what comes before the first comma or bar.
func cutRelation(text string) (part, rest string) {
	i := strings.IndexAny(text, ",|")
	if i < 0 {
		return text, ""
	}
	return text[:i], text[i+1:]
}

// allows says whether a package meets an alternative by its own name.
func (u *universe) allows(a alternative, p *Package) bool {
	return a.name == p.Name && u.reaches(a, p) && a.allows(p.ver)
}

// allowsProvided says whether a package meets an alternative by what it
// provides: a constraint is met only by a provided version.
func (u *universe) allowsProvided(a alternative, pr provider) bool {
	if !u.reaches(a, pr.p) {
		return false
	}
	return a.op == "" || pr.as.op == "=" && a.allows(pr.as.ver)
}

// reaches says whether a relation's architecture qualifier lets it be met by
// the package (https://wiki.ubuntu.com/MultiarchSpec).
func (u *universe) reaches(a alternative, p *Package) bool {
	switch a.arch {
	case "", u.arch:
		return true
	case "any":
		return p.multiArchAllowed
	}
	return false
}

// before orders the packages that meet one alternative as apt does: the name
// itself before providers, essential and important ones first, then by
// priority, and the last mentioned of those that remain.
func (u *universe) before(target string) func(a, b *Package) int {
	first := func(x, y bool) int {
		switch {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	}
	return func(a, b *Package) int {
		return cmp.Or(
			first(a.Name == target, b.Name == target),
			first(a.essential, b.essential),
			first(a.important, b.important),
			cmp.Compare(a.priority, b.priority),
			cmp.Compare(u.number[b.Name], u.number[a.Name]),
		)
	}
}
