package recipes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// scope reads values of a recipe for one distro, platform and stream. It
// chooses between per-distro values, applies filters and replaces variables,
// and collects errors on the way, so that callers need not stop at the first.
type scope struct {
	*report
	distro   Distro
	platform Platform
	vars     map[string]string
	// made and platforms are what can still reach the value in hand: a
	// filter that leaves none of them hides a mistake.
	made      []Distro
	platforms []Platform
}

// filterKeys may stand in a layer and in every list item written as a
// mapping.
var filterKeys = []string{"distros", "platforms"}

// resolve chooses a per-distro value; it gives nil where the distro has none.
// Every mapping with no other keys than distros is one.
func (s scope) resolve(v *value, key string) *value {
	if v == nil || v.shape != mapping || len(v.fields) == 0 {
		return v
	}
	for _, f := range v.fields {
		if !slices.Contains(Distros(), Distro(f.name)) {
			return v
		}
	}
	var chosen *value
	for _, f := range v.fields {
		if !slices.Contains(s.made, Distro(f.name)) {
			s.add(f.pos, join(key, f.name), "never used: this part is not made for %s", f.name)
		}
		if Distro(f.name) == s.distro {
			chosen = f.value
		}
	}
	return chosen
}

// want resolves a value and holds it to a shape.
func (s scope) want(v *value, key string, sh shape) *value {
	v = s.resolve(v, key)
	if v == nil {
		return nil
	}
	if v.shape != sh {
		s.add(v.pos, key, "want %s, have %s", sh, v.shape)
		return nil
	}
	return v
}

// text reads a scalar and replaces its variables; "" where it is absent.
func (s scope) text(v *value, key string) string {
	v = s.want(v, key, scalar)
	if v == nil {
		return ""
	}
	if v.text == "" {
		s.add(v.pos, key, "empty")
	}
	return s.expand(v.text, v.pos, key)
}

// expand replaces ${name}; $${ stands for a literal ${.
func (s scope) expand(text string, pos Position, key string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			out.WriteString(text)
			return out.String()
		}
		if strings.HasSuffix(before, "$") {
			out.WriteString(before + "{")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			s.add(pos, key, "variable without closing brace in %q", text)
			return out.String()
		}
		known, ok := s.vars[name]
		if !ok {
			s.add(pos, key, "unknown variable ${%s}: there are %s", name, strings.Join(slices.Sorted(maps.Keys(s.vars)), ", "))
		}
		out.WriteString(before + known)
		text = after
	}
}

// item is one element of a list with its key.
type item struct {
	key   string
	value *value
}

// items resolves a list and the elements that this distro and platform have.
func (s scope) items(v *value, key string) []item {
	v = s.want(v, key, list)
	if v == nil {
		return nil
	}
	var out []item
	for i, one := range v.items {
		below := fmt.Sprintf("%s[%d]", key, i)
		one = s.resolve(one, below)
		if one == nil {
			continue
		}
		if _, ok := s.filter(one, below); ok {
			out = append(out, item{below, one})
		}
	}
	return out
}

// texts reads a list of scalars.
func (s scope) texts(v *value, key string) []string {
	var out []string
	for _, one := range s.items(v, key) {
		out = append(out, s.text(one.value, one.key))
	}
	return out
}

// filter applies the keys distros and platforms of a mapping: it says whether
// the mapping counts here, and gives the scope for what is in it.
func (s scope) filter(v *value, key string) (scope, bool) {
	if v.shape != mapping {
		return s, true
	}
	here := true
	if f := v.get("distros"); f != nil {
		s.made = narrow(s, f, join(key, "distros"), s.made)
		here = here && slices.Contains(s.made, s.distro)
	}
	if f := v.get("platforms"); f != nil {
		s.platforms = narrow(s, f, join(key, "platforms"), s.platforms)
		here = here && slices.Contains(s.platforms, s.platform)
	}
	return s, here
}

// narrow reads a filter's list and holds it to what can still be reached.
func narrow[T ~string](s scope, v *value, key string, from []T) []T {
	if v.shape != list || len(v.items) == 0 {
		s.add(v.pos, key, "want a list with at least one element")
		return from
	}
	var out []T
	for i, one := range v.items {
		if one.shape != scalar || !slices.Contains(from, T(one.text)) || slices.Contains(out, T(one.text)) {
			s.add(one.pos, fmt.Sprintf("%s[%d]", key, i), "want each of %v at most once", from)
			continue
		}
		out = append(out, T(one.text))
	}
	return out
}

// pair is one key of a mapping whose keys are free.
type pair struct {
	name string
	item
	pos Position
}

// pairs resolves a mapping with free keys, in the order of the recipe.
func (s scope) pairs(v *value, key string) []pair {
	v = s.want(v, key, mapping)
	if v == nil {
		return nil
	}
	seen := map[string]bool{}
	var out []pair
	for _, f := range v.fields {
		name := s.expand(f.name, f.pos, key)
		below := join(key, name)
		if seen[name] {
			s.add(f.pos, below, "duplicate key")
		}
		seen[name] = true
		if one := s.resolve(f.value, below); one != nil {
			out = append(out, pair{name, item{below, one}, f.pos})
		}
	}
	return out
}
