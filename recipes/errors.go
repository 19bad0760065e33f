package recipes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a recipe.
type Error struct {
	Position
	Key     string // layers[0].drop[1].path; empty where the file itself is wrong
	Message string
}

// Error writes file:line:column: key: message.
func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: %s", e.Position, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Position, e.Key, e.Message)
}

// Errors is all that is wrong with a set of recipes, in the order of the
// files.
type Errors []*Error

// Error writes one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// report collects errors. A recipe is expanded for each distro, platform and
// stream, so that the same mistake is met several times and told once.
type report struct {
	seen map[Error]bool
	all  Errors
}

func newReport() *report { return &report{seen: map[Error]bool{}} }

func (r *report) add(pos Position, key, format string, args ...any) {
	e := Error{Position: pos, Key: key, Message: fmt.Sprintf(format, args...)}
	if r.seen[e] {
		return
	}
	r.seen[e] = true
	r.all = append(r.all, &e)
}

// err gives what was collected, sorted by place, or nil.
func (r *report) err() error {
	if len(r.all) == 0 {
		return nil
	}
	slices.SortFunc(r.all, func(a, b *Error) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), strings.Compare(a.Key, b.Key), strings.Compare(a.Message, b.Message))
	})
	return r.all
}
