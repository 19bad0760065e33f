package recipes

import (
	"slices"
	"strconv"
	"strings"
)

// record is a mapping with known keys.
type record struct {
	scope
	key string
	v   *value
}

// record resolves a mapping and refuses keys that it does not know.
func (s scope) record(v *value, key string, known ...string) (record, bool) {
	v = s.want(v, key, mapping)
	if v == nil {
		return record{}, false
	}
	for _, f := range v.fields {
		if !slices.Contains(known, f.name) {
			s.add(f.pos, join(key, f.name), "unknown key: there are %s", strings.Join(known, ", "))
		}
	}
	return record{s, key, v}, true
}

// listed is a record that is an item of a list and may carry filters.
func (s scope) listed(one item, known ...string) (record, bool) {
	if one.value.shape == mapping {
		s, _ = s.filter(one.value, one.key)
	}
	return s.record(one.value, one.key, append(known, filterKeys...)...)
}

func (r record) at(name string) (*value, string) { return r.v.get(name), join(r.key, name) }

// has says whether the mapping has a key that this distro gives a value.
func (r record) has(name string) bool {
	v, key := r.at(name)
	return r.resolve(v, key) != nil
}

// text reads an optional scalar.
func (r record) text(name string) string {
	v, key := r.at(name)
	return r.scope.text(v, key)
}

// must reads a scalar that has to be there.
func (r record) must(name string) string {
	if !r.has(name) {
		r.add(r.v.pos, join(r.key, name), "missing")
		return ""
	}
	return r.text(name)
}

func (r record) texts(name string) []string {
	v, key := r.at(name)
	return r.scope.texts(v, key)
}

func (r record) items(name string) []item {
	v, key := r.at(name)
	return r.scope.items(v, key)
}

func (r record) pairs(name string) []pair {
	v, key := r.at(name)
	return r.scope.pairs(v, key)
}

// flag reads an optional true or false.
func (r record) flag(name string) bool {
	switch text := r.text(name); text {
	case "true":
		return true
	case "", "false":
		return false
	default:
		r.fault(name, "want true or false, have %q", text)
		return false
	}
}

// number reads an optional whole number that is not negative.
func (r record) number(name string) int {
	text := r.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		r.fault(name, "want a whole number, have %q", text)
	}
	return int(n)
}

// parsed hands a scalar that is there to a reader and reports its error.
func parsed[T any](r record, name string, read func(string) (T, error)) T {
	var zero T
	text := r.text(name)
	if text == "" {
		return zero
	}
	got, err := read(text)
	if err != nil {
		r.fault(name, "%v", err)
		return zero
	}
	return got
}

// fault reports an error on a key of the mapping.
func (r record) fault(name, format string, args ...any) {
	v, key := r.at(name)
	pos := r.v.pos
	if v = r.resolve(v, key); v != nil {
		pos = v.pos
	}
	r.add(pos, key, format, args...)
}

// imagePath reads a path in the image that has to be there.
func (r record) imagePath(name string) string {
	text := r.must(name)
	if text == "" {
		return ""
	}
	if err := CheckPath(text); err != nil {
		r.fault(name, "%v", err)
		return ""
	}
	return text
}

// match holds a scalar that is there to a grammar.
func (r record) match(name, text string, grammar interface{ MatchString(string) bool }, what string) {
	if text != "" && !grammar.MatchString(text) {
		r.fault(name, "bad %s %q", what, text)
	}
}
