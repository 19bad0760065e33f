package pypi

import (
	"fmt"
	"strings"
)

// marker is a condition on the environment (PEP 508).
type marker interface {
	holds(env map[string]string, extras []string) (bool, error)
}

type (
	both   struct{ a, b marker }
	either struct{ a, b marker }
	test   struct {
		left, op, right token
	}
)

func (m both) holds(env map[string]string, extras []string) (bool, error) {
	if ok, err := m.a.holds(env, extras); !ok || err != nil {
		return false, err
	}
	return m.b.holds(env, extras)
}

func (m either) holds(env map[string]string, extras []string) (bool, error) {
	if ok, err := m.a.holds(env, extras); ok || err != nil {
		return ok, err
	}
	return m.b.holds(env, extras)
}

func (m test) holds(env map[string]string, extras []string) (bool, error) {
	if m.left.text == "extra" && !m.left.quoted || m.right.text == "extra" && !m.right.quoted {
		return m.extra(extras)
	}
	left, err := m.left.value(env)
	if err != nil {
		return false, err
	}
	right, err := m.right.value(env)
	if err != nil {
		return false, err
	}
	switch m.op.text {
	case "in":
		return strings.Contains(right, left), nil
	case "not in":
		return !strings.Contains(right, left), nil
	}
	if v, verr := parseVersion(left); verr == nil {
		if ok, cerr := (clause{m.op.text, right}).allows(v, left); cerr == nil {
			return ok, nil
		}
	}
	switch m.op.text {
	case "==", "===":
		return left == right, nil
	case "!=":
		return left != right, nil
	case "<":
		return left < right, nil
	case "<=":
		return left <= right, nil
	case ">":
		return left > right, nil
	case ">=":
		return left >= right, nil
	}
	return false, fmt.Errorf("marker %s %s %s compares what has no order", m.left.text, m.op.text, m.right.text)
}

// extra compares with the extras that were asked for.
func (m test) extra(extras []string) (bool, error) {
	name := m.right
	if m.left.quoted {
		name = m.left
	}
	found := false
	for _, e := range extras {
		found = found || e == Normalize(name.text)
	}
	switch m.op.text {
	case "==", "in":
		return found, nil
	case "!=", "not in":
		return !found, nil
	}
	return false, fmt.Errorf("marker: extra %s", m.op.text)
}

// token is a word, an operator or a quoted string of a marker.
type token struct {
	text   string
	quoted bool
}

func (t token) value(env map[string]string) (string, error) {
	if t.quoted {
		return t.text, nil
	}
	name := t.text
	if now, old := oldNames[name]; old {
		name = now
	}
	v, ok := env[name]
	if !ok {
		return "", fmt.Errorf("marker: there is no variable %q", t.text)
	}
	return v, nil
}

// oldNames are spellings of variables from before PEP 508.
var oldNames = map[string]string{
	"os.name": "os_name", "sys.platform": "sys_platform", "platform.machine": "platform_machine",
	"platform.version": "platform_version", "platform.python_implementation": "platform_python_implementation",
	"python_implementation": "platform_python_implementation",
}

// maxDepth bounds how deep a marker nests.
const maxDepth = 32

// parseMarker reads a marker.
func parseMarker(s string) (marker, error) {
	tokens, err := markerTokens(s)
	if err != nil {
		return nil, err
	}
	p := &markerParser{tokens: tokens}
	m, err := p.or(0)
	if err != nil {
		return nil, fmt.Errorf("marker %q: %w", strings.TrimSpace(s), err)
	}
	if p.at < len(p.tokens) {
		return nil, fmt.Errorf("marker %q: %q was not expected", strings.TrimSpace(s), p.tokens[p.at].text)
	}
	return m, nil
}

func markerTokens(s string) ([]token, error) {
	var out []token
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		switch {
		case s[0] == '"' || s[0] == '\'':
			end := strings.IndexByte(s[1:], s[0])
			if end < 0 {
				return nil, fmt.Errorf("marker: a quote without its end in %q", s)
			}
			out = append(out, token{s[1 : 1+end], true})
			s = s[end+2:]
		case s[0] == '(' || s[0] == ')':
			out = append(out, token{text: s[:1]})
			s = s[1:]
		default:
			word := strings.IndexFunc(s, func(r rune) bool { return !isWord(r) })
			if word == 0 {
				word = strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("<>=!~", r) })
				if word == 0 {
					return nil, fmt.Errorf("marker: %q was not expected", s[:1])
				}
			}
			if word < 0 {
				word = len(s)
			}
			out = append(out, token{text: s[:word]})
			s = s[word:]
		}
	}
	return out, nil
}

func isWord(r rune) bool {
	return r == '_' || r == '.' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

type markerParser struct {
	tokens []token
	at     int
}

func (p *markerParser) is(word string) bool {
	return p.at < len(p.tokens) && !p.tokens[p.at].quoted && p.tokens[p.at].text == word
}

func (p *markerParser) next() (token, error) {
	if p.at == len(p.tokens) {
		return token{}, fmt.Errorf("it ends too early")
	}
	p.at++
	return p.tokens[p.at-1], nil
}

func (p *markerParser) or(depth int) (marker, error) {
	m, err := p.and(depth)
	for err == nil && p.is("or") {
		p.at++
		var b marker
		b, err = p.and(depth)
		m = either{m, b}
	}
	return m, err
}

func (p *markerParser) and(depth int) (marker, error) {
	m, err := p.term(depth)
	for err == nil && p.is("and") {
		p.at++
		var b marker
		b, err = p.term(depth)
		m = both{m, b}
	}
	return m, err
}

func (p *markerParser) term(depth int) (marker, error) {
	if p.is("(") {
		if depth == maxDepth {
			return nil, fmt.Errorf("it nests too deep")
		}
		p.at++
		m, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.is(")") {
			return nil, fmt.Errorf("a bracket without its end")
		}
		p.at++
		return m, nil
	}
	left, err := p.next()
	if err != nil {
		return nil, err
	}
	op, err := p.next()
	if err != nil {
		return nil, err
	}
	if op.text == "not" && p.is("in") {
		p.at++
		op.text = "not in"
	}
	right, err := p.next()
	if err != nil {
		return nil, err
	}
	if op.quoted || !strings.Contains(" == === != <= >= < > ~= in not in ", " "+op.text+" ") || op.text == "not" {
		return nil, fmt.Errorf("%q is no comparison", op.text)
	}
	if left.quoted == right.quoted {
		return nil, fmt.Errorf("a comparison has one variable and one string")
	}
	return test{left, op, right}, nil
}
