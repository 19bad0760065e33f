// Package pypi takes release files of Python projects: it chooses the wheel
// that fits an image's interpreter, holds it to its RECORD and lays it out.
// No code of a project ever runs, neither its setup.py nor a build backend.
package pypi

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// version is a version as PEP 440 orders them.
type version struct {
	epoch   int
	release []int
	pre     string // "a", "b", "rc" or ""
	preN    int
	post    int // -1 where there is none
	dev     int // -1 where there is none
	local   string
}

var versionForm = recipes.NewPattern(`^v?(?:(\d+)!)?(\d+(?:\.\d+)*)` +
	`(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d*))?` +
	`(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?` +
	`(?:[-_.]?(dev)[-_.]?(\d*))?` +
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

// parseVersion reads a version (PEP 440, appendix B).
func parseVersion(s string) (version, error) {
	m := versionForm.FindStringSubmatch(strings.ToLower(strings.TrimSpace(s)))
	if m == nil {
		return version{}, fmt.Errorf("%q is no version as PEP 440 has them", s)
	}
	v := version{post: -1, dev: -1, local: strings.NewReplacer("-", ".", "_", ".").Replace(m[10])}
	var err error
	number := func(text string) int {
		if text == "" {
			return 0
		}
		n, nerr := strconv.Atoi(text)
		if nerr != nil {
			err = fmt.Errorf("version %q: %w", s, nerr)
		}
		return n
	}
	v.epoch = number(m[1])
	for part := range strings.SplitSeq(m[2], ".") {
		v.release = append(v.release, number(part))
	}
	if m[3] != "" {
		v.pre, v.preN = map[string]string{"alpha": "a", "a": "a", "beta": "b", "b": "b"}[m[3]], number(m[4])
		if v.pre == "" {
			v.pre = "rc"
		}
	}
	if m[5] != "" || m[6] != "" {
		v.post = number(m[5] + m[7])
	}
	if m[8] != "" {
		v.dev = number(m[9])
	}
	return v, err
}

// compare orders versions, local parts included.
func (v version) compare(w version) int {
	if c := v.comparePublic(w); c != 0 {
		return c
	}
	return compareLocal(v.local, w.local)
}

// comparePublic orders versions without their local parts.
func (v version) comparePublic(w version) int {
	if c := cmp.Or(cmp.Compare(v.epoch, w.epoch), slices.Compare(trimmed(v.release), trimmed(w.release))); c != 0 {
		return c
	}
	return slices.Compare(v.suffix(), w.suffix())
}

// suffix orders what follows the release: 1.dev1, 1a1, 1rc1, 1, 1.post1.
func (v version) suffix() []int {
	const least, most = -1 << 31, 1<<31 - 1
	phase := map[string]int{"a": 1, "b": 2, "rc": 3, "": 4}[v.pre]
	if v.pre == "" && v.post < 0 && v.dev >= 0 {
		phase = 0
	}
	post, dev := least, most
	if v.post >= 0 {
		post = v.post
	}
	if v.dev >= 0 {
		dev = v.dev
	}
	return []int{phase, v.preN, post, dev}
}

// trimmed is a release without the zeros at its end: 1.0 equals 1.
func trimmed(release []int) []int {
	for len(release) > 1 && release[len(release)-1] == 0 {
		release = release[:len(release)-1]
	}
	return release
}

func compareLocal(a, b string) int {
	if a == b {
		return 0
	}
	if a == "" || b == "" {
		return cmp.Compare(len(a), len(b))
	}
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		n, nerr := strconv.Atoi(x[i])
		m, merr := strconv.Atoi(y[i])
		var c int
		switch {
		case nerr == nil && merr == nil:
			c = cmp.Compare(n, m)
		case nerr == nil:
			c = 1 // numbers are above words
		case merr == nil:
			c = -1
		default:
			c = cmp.Compare(x[i], y[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// clause is one condition on a version: >=1.2, ==1.*, ~=2.2.
type clause struct{ op, text string }

var clauseForm = recipes.NewPattern(`^\s*(===|==|~=|!=|<=|>=|<|>)\s*([^\s,]+)\s*$`)

// parseSpecifiers reads conditions that all have to hold, separated by
// commas; none is no condition.
func parseSpecifiers(s string) ([]clause, error) {
	var out []clause
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(part) == "" {
			continue // a comma at the end, which old metadata has
		}
		m := clauseForm.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Errorf("version condition %q", part)
		}
		c := clause{m[1], m[2]}
		if _, err := c.allows(version{release: []int{0}, post: -1, dev: -1}, "0"); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// allows says whether a version, also given as written, meets the condition.
func (c clause) allows(v version, written string) (bool, error) {
	if c.op == "===" {
		return strings.EqualFold(strings.TrimSpace(written), c.text), nil
	}
	text, wild := strings.CutSuffix(c.text, ".*")
	if wild && c.op != "==" && c.op != "!=" {
		return false, fmt.Errorf("version condition %s%s: .* goes with == and != only", c.op, c.text)
	}
	w, err := parseVersion(text)
	if err != nil {
		return false, err
	}
	order := v.comparePublic(w)
	switch c.op {
	case "==":
		return c.equal(v, w, wild), nil
	case "!=":
		return !c.equal(v, w, wild), nil
	case "<=":
		return order <= 0, nil
	case ">=":
		return order >= 0, nil
	case "<":
		// 1.0rc1 is not below 1.0 for a condition, unless that asks for it.
		return order < 0 && (w.pre != "" || w.dev >= 0 || !v.isPre() || !sameRelease(v, w)), nil
	case ">":
		return order > 0 && (w.post >= 0 || v.post < 0 || !sameRelease(v, w)), nil
	default:
		if len(w.release) < 2 {
			return false, fmt.Errorf("version condition ~=%s needs two numbers", c.text)
		}
		return order >= 0 && hasPrefix(v, version{epoch: w.epoch, release: w.release[:len(w.release)-1]}), nil
	}
}

func (c clause) equal(v, w version, wild bool) bool {
	if wild {
		return hasPrefix(v, w)
	}
	if w.local == "" {
		return v.comparePublic(w) == 0
	}
	return v.compare(w) == 0
}

func (v version) isPre() bool { return v.pre != "" || v.dev >= 0 }

func sameRelease(v, w version) bool {
	return v.epoch == w.epoch && slices.Equal(trimmed(v.release), trimmed(w.release))
}

// hasPrefix says whether v's release begins with w's, zeros added as needed.
func hasPrefix(v, w version) bool {
	if v.epoch != w.epoch {
		return false
	}
	for i, n := range w.release {
		if i < len(v.release) && v.release[i] != n || i >= len(v.release) && n != 0 {
			return false
		}
	}
	return true
}

// allow says whether a version meets all conditions.
func allow(clauses []clause, written string) (bool, error) {
	v, err := parseVersion(written)
	if err != nil {
		return false, err
	}
	for _, c := range clauses {
		if ok, err := c.allows(v, written); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}
