package apk

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// full says whether the long comparison with the real apk is wanted.
func full() bool { return os.Getenv("SHUDL_TEST_FULL") == "1" }

// fixedSeed draws the same sets in every run.
const fixedSeed = 20240618

// draw makes sets of one to six names out of all packages.
func draw(ix *Index, seed uint64, count int) [][]string {
	names := allNames(ix)
	random := rand.New(rand.NewPCG(seed, 1))
	sets := make([][]string, count)
	for i := range sets {
		for range 1 + random.IntN(6) {
			sets[i] = append(sets[i], names[random.IntN(len(names))])
		}
	}
	return sets
}

func allNames(ix *Index) []string {
	var names []string
	for _, p := range ix.Packages {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// special makes sets around what is hard: install_if, constraints on
// versions, conflicts, provided names, names that do not exist.
func special(ix *Index, seed uint64, each int) [][]string {
	random := rand.New(rand.NewPCG(seed, 2))
	names := allNames(ix)
	any := func() string { return names[random.IntN(len(names))] }
	pick := func(from []*Package) *Package { return from[random.IntN(len(from))] }
	var triggered, providing, conflicting []*Package
	for _, p := range ix.Packages {
		if len(p.InstallIf) > 0 {
			triggered = append(triggered, p)
		}
		if len(p.Provides) > 0 {
			providing = append(providing, p)
		}
		if slices.ContainsFunc(p.Depends, func(d Dependency) bool { return d.Conflict }) {
			conflicting = append(conflicting, p)
		}
	}
	var sets [][]string
	for range each {
		// All that triggers a package, and something beside it.
		set := []string{any()}
		for _, d := range pick(triggered).InstallIf {
			if !d.Conflict {
				set = append(set, d.Name)
			}
		}
		sets = append(sets, set)
		// Constraints on the version that is there and on others.
		p, q := pick(ix.Packages), pick(ix.Packages)
		op := []string{"=", "<", ">", "<=", ">=", "~", "><"}[random.IntN(7)]
		version := []string{p.Version, recipes.Artifact{Kind: recipes.KindAPK, Version: p.Version}.Upstream(), q.Version, "1.0", "999"}[random.IntN(5)]
		if op == "><" {
			version = []string{p.Checksum, q.Checksum}[random.IntN(2)]
		}
		sets = append(sets, []string{p.Name + op + version, any()})
		// A provided name, with and without version.
		g := pick(providing)
		given := g.Provides[random.IntN(len(g.Provides))]
		sets = append(sets, []string{given.Name, any()}, []string{given.String(), "!" + any()})
		// Packages against each other, by "!" and by a shared name.
		c := pick(conflicting)
		for _, d := range c.Depends {
			if d.Conflict {
				sets = append(sets, []string{c.Name, d.Name})
				break
			}
		}
		sets = append(sets, rivals(ix, random), rivals(ix, random), rivals(ix, random))
		sets = append(sets, []string{p.Name, "!" + q.Name, any()}, []string{p.Name, "!" + needOf(p)})
		// Nothing of that name.
		sets = append(sets, []string{any() + "-nowhere", any()})
	}
	return sets
}

// needOf is a name that a package depends on, or its own.
func needOf(p *Package) string {
	for _, d := range p.Depends {
		if !d.Conflict {
			return d.Name
		}
	}
	return p.Name
}

// rivals finds two packages that provide one name, both with a version: they
// exclude each other.
func rivals(ix *Index, random *rand.Rand) []string {
	for {
		p := ix.Packages[random.IntN(len(ix.Packages))]
		if len(p.Provides) == 0 {
			continue
		}
		given := p.Provides[random.IntN(len(p.Provides))]
		same := func(d Dependency) bool { return d.Name == given.Name && d.Version != "" }
		for _, q := range ix.Packages {
			if given.Version != "" && q.Name != p.Name && slices.ContainsFunc(q.Provides, same) {
				return []string{p.Name, q.Name}
			}
		}
	}
}

// tally counts what a comparison met.
type tally struct {
	sync.Mutex
	sets, refused, triggered, constrained, rivals, wrong int
}

// agree holds our answers to apk's for all sets, on as many apks as there
// are processors.
func agree(t *testing.T, ix *Index, onMinirootfs bool, sets [][]string) *tally {
	t.Helper()
	count := &tally{}
	var wait sync.WaitGroup
	jobs := make(chan []string)
	for range 2 {
		o := newOracle(t, onMinirootfs)
		own := &Index{Packages: ix.Packages}
		request := Request{World: []string{}}
		if onMinirootfs {
			request = minirootfsRequest(t, o.target)
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			for set := range jobs {
				count.compare(t, own, o, request, set)
			}
		}()
	}
	for _, set := range sets {
		jobs <- set
	}
	close(jobs)
	wait.Wait()
	t.Logf("%d sets: %d refused, %d with install_if, %d with constraints, %d with rivals", count.sets, count.refused, count.triggered, count.constrained, count.rivals)
	return count
}

// compare asks both about one set.
func (c *tally) compare(t *testing.T, ix *Index, o *oracle, request Request, set []string) {
	for _, name := range set {
		request.Roots = append(request.Roots, recipes.Package{Name: name})
	}
	solution, err := ix.Solve(request)
	var mine []string
	if err == nil {
		mine = ours(solution)
	}
	theirs, refused, output := o.answer(t, set)
	c.Lock()
	defer c.Unlock()
	c.sets++
	if refused {
		c.refused++
	}
	if strings.Contains(output, "conflicts:") {
		c.rivals++
	}
	if strings.ContainsAny(strings.Join(set, " "), "!<>=~:") {
		c.constrained++
	}
	if solution != nil && slices.ContainsFunc(solution.New(), func(p *Package) bool { return len(p.InstallIf) > 0 && !slices.Contains(set, p.Name) }) {
		c.triggered++
	}
	if refused != (err != nil) || !refused && !slices.Equal(mine, theirs) {
		c.wrong++
		t.Errorf("%s: we say\n  %s (%v)\napk says\n  %s\n%s", strings.Join(set, " "), strings.Join(mine, "\n  "), err, strings.Join(theirs, "\n  "), difference(mine, theirs)+output)
	}
}

// difference names what only one side has.
func difference(mine, theirs []string) string {
	var b strings.Builder
	for _, s := range mine {
		if !slices.Contains(theirs, s) {
			fmt.Fprintf(&b, "only we: %s\n", s)
		}
	}
	for _, s := range theirs {
		if !slices.Contains(mine, s) {
			fmt.Fprintf(&b, "only apk: %s\n", s)
		}
	}
	return b.String()
}

// usualSets is how many sets of plain names are drawn for each seed.
const usualSets = 300

// TestSolveAgreesWithAPK compares with the real apk 2.14, half of the sets in
// an empty root and half on the minirootfs: answers, their order, and
// refusals. SHUDL_TEST_FULL=1 asks about as many as .ci/full does;
// SHUDL_TEST_SETS, with it, says how many are drawn.
func TestSolveAgreesWithAPK(t *testing.T) {
	ix := realPackages(t)
	plain, hard := 3, 1
	if full() {
		plain = environment(t, "SHUDL_TEST_SETS", usualSets)
		hard = max(1, 14*plain/usualSets)
	}
	fresh := uint64(environment(t, "SHUDL_TEST_SEED", int(time.Now().UnixNano())))
	t.Logf("fresh seed: %d (SHUDL_TEST_SEED repeats it)", fresh)
	seeds := []uint64{fresh}
	if full() {
		seeds = []uint64{fixedSeed, fresh}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			var sets [2][][]string
			for i, set := range append(draw(ix, seed, plain), special(ix, seed, hard)...) {
				sets[i%2] = append(sets[i%2], set)
			}
			empty, onRoot := agree(t, ix, false, sets[0]), agree(t, ix, true, sets[1])
			for what, least := range map[string][3]int{
				"refused":          {20, empty.refused, onRoot.refused},
				"with install_if":  {40, empty.triggered, onRoot.triggered},
				"with constraints": {20, empty.constrained, onRoot.constrained},
				"with conflicts":   {30, empty.rivals, onRoot.rivals},
			} {
				want := least[0] * plain / usualSets
				if plain < usualSets {
					want /= 2 // a sample of a fresh seed may miss a kind
				}
				if n := least[1] + least[2]; full() && n < want && (seed == fixedSeed || plain >= usualSets) {
					t.Errorf("only %d sets %s, want %d", n, what, want)
				}
			}
		})
	}
}

// environment is a number from the environment.
func environment(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}
