package apk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// Request asks for packages on top of a root.
type Request struct {
	// Roots are wanted: name, name=version or any other form of apk add.
	Roots []recipes.Package
	// World is what the root was asked to hold before (etc/apk/world).
	// Where it is nil, the root is asked to hold all that it holds.
	World []string
	// Installed is what the root holds already, such as the packages of a
	// minirootfs, in the order of its database. An installed package stays,
	// newer than the index or not, unless a dependency or Upgrade moves it.
	Installed []*Package
	// Held is what the parent images were locked with. A held package never
	// moves: a request that would change or remove one is refused.
	Held []recipes.Artifact
	// Exclude leaves packages out, and what only they pull in.
	Exclude []recipes.Exclude
	// Upgrade prefers the newest version of everything to what is installed,
	// as apk upgrade does on a root whose world holds Roots too.
	Upgrade bool
}

// Solution is what a request comes to.
type Solution struct {
	// Changes are the steps in apk's order.
	Changes []Change
	// Installed is what the root holds afterwards, sorted by name, and World
	// what it was asked to hold, sorted.
	Installed []*Package
	World     []string
}

// New lists the packages that a solution adds, in apk's order.
func (s *Solution) New() []*Package {
	var list []*Package
	for _, c := range s.Changes {
		if c.New != nil && c.New != c.Old {
			list = append(list, c.New)
		}
	}
	return list
}

// Resolve gives the packages that a request adds to its root, sorted by
// name.
func (ix *Index) Resolve(r Request) ([]*Package, error) {
	solution, err := ix.Solve(r)
	if err != nil {
		return nil, err
	}
	list := solution.New()
	slices.SortFunc(list, byName)
	return list, nil
}

func byName(a, b *Package) int { return strings.Compare(a.Name, b.Name) }

// Solve decides what a root holds after a request, as apk add does. What
// cannot be had is an *UnsatisfiableError. Not safe for concurrent use.
func (ix *Index) Solve(r Request) (*Solution, error) {
	asked, err := r.asked()
	if err != nil {
		return nil, err
	}
	installed, held, err := ix.root(r)
	if err != nil {
		return nil, err
	}
	world, err := r.world(installed)
	if err != nil {
		return nil, err
	}
	s := newSolver(ix.universeFor(r, world, installed), world, asked, r.Upgrade)
	if !s.solve() {
		return nil, s.explain()
	}
	solution := s.solution(installed)
	if err := solution.keeps(held); err != nil {
		return nil, err
	}
	return solution, nil
}

func (r Request) asked() ([]Dependency, error) {
	var asked []Dependency
	for _, root := range r.Roots {
		d, err := ParseDependency(root.Name)
		if err != nil {
			return nil, err
		}
		asked = append(asked, d)
	}
	return asked, nil
}

func (r Request) world(installed []*Package) ([]Dependency, error) {
	var world []Dependency
	if r.World == nil {
		for _, p := range installed {
			world = append(world, Dependency{Name: p.Name, Op: Any})
		}
	}
	for _, w := range r.World {
		d, err := ParseDependency(w)
		if err != nil {
			return nil, fmt.Errorf("world: %w", err)
		}
		world = append(world, d)
	}
	return world, nil
}

// root joins what is installed with what parents are locked with, a locked
// package replacing an installed one of its name.
func (ix *Index) root(r Request) (installed, held []*Package, err error) {
	installed = slices.Clone(r.Installed)
	place := map[string]int{}
	for i, p := range installed {
		place[p.Name] = i
	}
	for _, a := range r.Held {
		if a.Kind != recipes.KindAPK {
			continue
		}
		p := ix.find(a, r.Installed)
		if p == nil {
			return nil, nil, fmt.Errorf("the parent's package %s-%s is not in the index any more: lock the whole distro anew (lock --refresh)", a.Name, a.Version)
		}
		held = append(held, p)
		if i, ok := place[p.Name]; ok {
			installed[i] = p
			continue
		}
		place[p.Name] = len(installed)
		installed = append(installed, p)
	}
	return installed, held, nil
}

func (ix *Index) find(a recipes.Artifact, more []*Package) *Package {
	for _, list := range [][]*Package{ix.named(a.Name), more} {
		for _, p := range list {
			if p.Name == a.Name && p.Version == a.Version && (a.Checksum == "" || a.Checksum == p.Checksum) {
				return p
			}
		}
	}
	return nil
}

// named lists the index's packages of one name.
func (ix *Index) named(name string) []*Package {
	if ix.byName == nil {
		ix.byName = make(map[string][]*Package, len(ix.Packages))
		for _, p := range ix.Packages {
			ix.byName[p.Name] = append(ix.byName[p.Name], p)
		}
	}
	return ix.byName[name]
}

// universeFor builds what the solver works on, or takes the one of the last
// request where the root is the same.
func (ix *Index) universeFor(r Request, world []Dependency, installed []*Package) *universe {
	excluded := map[string]bool{}
	for _, e := range r.Exclude {
		excluded[e.Name] = true
	}
	same := ix.universe != nil && len(excluded) == 0 && len(ix.builtExcluded) == 0 &&
		slices.Equal(ix.builtWorld, world) && slices.Equal(ix.builtInstalled, installed)
	if !same {
		ix.universe = newUniverse(world, installed, ix.Packages, excluded)
		ix.builtWorld, ix.builtInstalled, ix.builtExcluded = world, installed, excluded
	}
	return ix.universe
}

// solution reads the outcome off a solver that succeeded.
func (s *solver) solution(installed []*Package) *Solution {
	result := &Solution{Changes: s.changes}
	now := map[string]*Package{}
	for _, p := range installed {
		now[p.Name] = p
	}
	for _, c := range s.changes {
		if c.Old != nil {
			delete(now, c.Old.Name)
		}
		if c.New != nil {
			now[c.New.Name] = c.New
		}
	}
	for _, p := range now {
		result.Installed = append(result.Installed, p)
	}
	slices.SortFunc(result.Installed, byName)
	for _, d := range s.world {
		result.World = append(result.World, s.dependency(d).String())
	}
	return result
}

func (s *solver) dependency(d need) Dependency {
	return Dependency{Name: s.names[d.name].text, Op: d.op, Version: d.version, Conflict: d.conflict}
}

// keeps holds a solution to what parents are locked with.
func (s *Solution) keeps(held []*Package) error {
	for _, c := range s.Changes {
		if c.Old == nil || c.New != nil && c.New.Version == c.Old.Version {
			continue
		}
		for _, p := range held {
			if p.Name != c.Old.Name {
				continue
			}
			if c.New == nil {
				return fmt.Errorf("%s, which the parent image holds, would be removed", p.ID())
			}
			return fmt.Errorf("%s, which the parent image holds, would become %s", p.ID(), c.New.ID())
		}
	}
	return nil
}
