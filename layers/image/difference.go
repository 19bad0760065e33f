package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// JSONDifference is the first key, in the order of the names, by which two
// JSON texts differ, and what stands there in each; "nothing" where a text has
// no such key.
type JSONDifference struct {
	Key        string // config.Env[2]; empty where the whole is another
	Have, Want string
	// Form, where it is set, says that only the form differs, or that there
	// is none: "written in another form", "no JSON".
	Form string
}

// Part compares two JSON texts, and gives nil where their bytes are the same.
func Part(have, want []byte) *JSONDifference {
	if bytes.Equal(have, want) {
		return nil
	}
	var a, b any
	if json.Unmarshal(have, &a) != nil || json.Unmarshal(want, &b) != nil {
		return &JSONDifference{Have: size(have), Want: size(want), Form: "no JSON"}
	}
	if d := differ("", a, b); d != nil {
		return d
	}
	return &JSONDifference{Have: size(have), Want: size(want), Form: anotherForm}
}

const anotherForm = "written in another form"

func size(text []byte) string { return fmt.Sprintf("%d bytes", len(text)) }

// Difference names the first place where two JSON texts differ.
func Difference(have, want []byte) string {
	switch d := Part(have, want); {
	case d == nil:
		return anotherForm
	case d.Form != "":
		return d.Form
	default:
		return fmt.Sprintf("%s is %s, want %s", d.Key, d.Have, d.Want)
	}
}

func differ(at string, a, b any) *JSONDifference {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			return differMaps(at, x, y)
		}
	case []any:
		if y, ok := b.([]any); ok {
			return differLists(at, x, y)
		}
	}
	if reflect.DeepEqual(a, b) {
		return nil
	}
	return &JSONDifference{Key: at, Have: shorten(a), Want: shorten(b)}
}

func differMaps(at string, a, b map[string]any) *JSONDifference {
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		inner := name
		if at != "" {
			inner = at + "." + name
		}
		x, inA := a[name]
		y, inB := b[name]
		if d := differItems(inner, x, y, inA, inB); d != nil {
			return d
		}
	}
	return nil
}

func differLists(at string, a, b []any) *JSONDifference {
	for i := range max(len(a), len(b)) {
		var x, y any
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if d := differItems(fmt.Sprintf("%s[%d]", at, i), x, y, i < len(a), i < len(b)); d != nil {
			return d
		}
	}
	return nil
}

// differItems compares what may be on one side only.
func differItems(at string, a, b any, inA, inB bool) *JSONDifference {
	switch {
	case !inA:
		return &JSONDifference{Key: at, Have: "nothing", Want: shorten(b)}
	case !inB:
		return &JSONDifference{Key: at, Have: shorten(a), Want: "nothing"}
	}
	return differ(at, a, b)
}

// maxText is how much of a value is told, in bytes.
const maxText = 200

// shorten keeps a message readable.
func shorten(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(text) > maxText {
		return string(text[:maxText]) + "…"
	}
	return string(text)
}
