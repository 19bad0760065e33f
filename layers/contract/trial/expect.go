package trial

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/shudl/shudl-assemble/recipes"
)

// expect holds an answer to what the step wants.
func expect(s recipes.Step, answer []byte) error {
	if s.Prints != nil {
		if got := strings.TrimRight(string(answer), "\n"); got != *s.Prints {
			return unmetf("it prints %q, want %q", shorten(got), *s.Prints)
		}
	}
	if s.Matches != nil && !s.Matches.Match(answer) {
		return unmetf("no match for %s in %q", plain(s.Matches.String()), shorten(string(answer)))
	}
	if len(s.JSON) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		return unmetf("the answer is no JSON: %v: %q", err, shorten(string(answer)))
	}
	for _, want := range s.JSON {
		got, err := at(document, want.Name)
		if err != nil {
			return unmetf("%s: %v in %q", want.Name, err, shorten(string(answer)))
		}
		if got != want.Value {
			return unmetf("%s is %s, want %s", want.Name, got, want.Value)
		}
	}
	return nil
}

// at finds a value by its path, a.b[0].c, and writes it as JSON does; a string
// as it is.
func at(document any, path string) (string, error) {
	for _, part := range strings.Split(path, ".") {
		name, indexes, _ := strings.Cut(part, "[")
		if name != "" {
			object, ok := document.(map[string]any)
			if document, ok = object[name], ok && has(object, name); !ok {
				return "", fmt.Errorf("there is no %s", name)
			}
		}
		for indexes != "" {
			text, rest, _ := strings.Cut(indexes, "]")
			indexes = strings.TrimPrefix(rest, "[")
			list, ok := document.([]any)
			i, err := strconv.Atoi(text)
			if !ok || err != nil || i < 0 || i >= len(list) {
				return "", fmt.Errorf("there is no element %s", text)
			}
			document = list[i]
		}
	}
	if text, ok := document.(string); ok {
		return text, nil
	}
	out, err := json.Marshal(document)
	return string(out), err
}

func has(object map[string]any, name string) bool {
	_, ok := object[name]
	return ok
}

// metrics holds an answer to Prometheus' text format,
// https://prometheus.io/docs/instrumenting/exposition_formats, and to the
// families that must be there.
func metrics(answer []byte, want []string) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(answer))
	if err != nil {
		return unmetf("no Prometheus text: %v: %q", err, shorten(string(answer)))
	}
	samples := 0
	for _, f := range families {
		samples += len(f.GetMetric())
	}
	if samples == 0 {
		return unmetf("no metric in %q", shorten(string(answer)))
	}
	var missing []string
	for _, name := range want {
		if families[name] == nil {
			missing = append(missing, name)
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		return unmetf("%d metric families, but not %s", len(families), strings.Join(missing, ", "))
	}
	return nil
}
