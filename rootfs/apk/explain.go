package apk

import (
	"fmt"
	"slices"
	"strings"
)

// UnsatisfiableError says why a request cannot be met.
type UnsatisfiableError struct {
	// Reasons are whole sentences without full stop, one per name or package
	// that stands in the way.
	Reasons []string
}

// Error lists the reasons.
func (e *UnsatisfiableError) Error() string {
	return "packages cannot be installed together: " + strings.Join(e.Reasons, "; ")
}

// maxReasons keeps a message readable.
const maxReasons = 12

// explain turns the failures of a solver into sentences.
func (s *solver) explain() *UnsatisfiableError {
	var reasons []string
	seen := map[string]bool{}
	say := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !seen[text] && len(reasons) < maxReasons {
			seen[text] = true
			reasons = append(reasons, text)
		}
	}
	for _, d := range s.world {
		s.explainNeed(say, "the request", d)
	}
	for _, c := range s.db.packages {
		if !s.pkg[c.id].failed {
			continue
		}
		for _, d := range c.needs {
			s.explainNeed(say, c.pkg.ID(), d)
		}
		s.explainClash(say, c)
	}
	if len(reasons) == 0 {
		reasons = []string{"no choice of providers meets every dependency"}
	}
	slices.Sort(reasons)
	return &UnsatisfiableError{Reasons: reasons}
}

// explainNeed says what of a dependency is not met.
func (s *solver) explainNeed(say func(string, ...any), from string, d need) {
	chosen := s.name[d.name].chosen
	if d.metBy(chosen) {
		return
	}
	wanted := s.dependency(d)
	switch {
	case d.conflict:
		say("%s excludes %s, which %s provides", from, s.names[d.name].text, chosen.pkg.pkg.ID())
	case len(s.names[d.name].providers) == 0:
		say("%s needs %s, which no repository has", from, wanted)
	case chosen.pkg == nil:
		say("%s needs %s, for which no package was chosen (providers: %s)", from, wanted, s.providers(d.name))
	default:
		say("%s needs %s, but %s was chosen", from, wanted, chosen.pkg.pkg.ID())
	}
}

// explainClash says which other package has one of c's names.
func (s *solver) explainClash(say func(string, ...any), c *candidate) {
	gives := append([]need{{name: c.name, version: c.pkg.Version}}, c.gives...)
	for _, g := range gives {
		other := s.name[g.name].chosen
		if other.pkg == nil || other.pkg == c || g.version == "" && other.version == "" {
			continue
		}
		say("%s and %s both provide %s", c.pkg.ID(), other.pkg.pkg.ID(), s.names[g.name].text)
	}
}

// providers lists a few packages that provide a name.
func (s *solver) providers(id int32) string {
	const few = 5
	var list []string
	for _, p := range s.names[id].providers {
		if len(list) == few {
			list = append(list, "…")
			break
		}
		list = append(list, p.pkg.pkg.ID())
	}
	return strings.Join(list, ", ")
}
