package reproduce

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// part finds the first key, in the order of the names, by which two JSON
// values differ, and what stands there on each side.
func part(a, b any, at string) (key, theirs, ours string, differ bool) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			return partObjects(x, y, at)
		}
	case []any:
		if y, ok := b.([]any); ok {
			return partLists(x, y, at)
		}
	}
	if reflect.DeepEqual(a, b) {
		return "", "", "", false
	}
	return at, text(a), text(b), true
}

func partObjects(a, b map[string]any, at string) (key, theirs, ours string, differ bool) {
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		inner := name
		if at != "" {
			inner = at + "." + name
		}
		x, hasX := a[name]
		y, hasY := b[name]
		switch {
		case !hasX:
			return inner, "nothing", text(y), true
		case !hasY:
			return inner, text(x), "nothing", true
		}
		if key, theirs, ours, differ = part(x, y, inner); differ {
			return key, theirs, ours, true
		}
	}
	return "", "", "", false
}

func partLists(a, b []any, at string) (key, theirs, ours string, differ bool) {
	for i := range max(len(a), len(b)) {
		inner := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case i >= len(a):
			return inner, "nothing", text(b[i]), true
		case i >= len(b):
			return inner, text(a[i]), "nothing", true
		}
		if key, theirs, ours, differ = part(a[i], b[i], inner); differ {
			return key, theirs, ours, true
		}
	}
	return "", "", "", false
}

// maxText is how much of a value is told, in bytes.
const maxText = 200

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(data) > maxText {
		return string(data[:maxText]) + "…"
	}
	return string(data)
}
