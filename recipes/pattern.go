package recipes

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression that is compiled when it is first asked. A
// run of the command asks few of those it knows; compiling them all took a
// fifth of the work that all packages do before main.
type Pattern struct {
	text     string
	once     sync.Once
	compiled *regexp.Regexp
}

// NewPattern is the pattern of a regular expression in the syntax of package
// regexp. It panics when first asked if the text is none; TestPatternsCompile
// asks every one of the module.
func NewPattern(text string) *Pattern { return &Pattern{text: text} }

// Regexp is the regular expression, compiled.
func (p *Pattern) Regexp() *regexp.Regexp {
	p.once.Do(func() { p.compiled = regexp.MustCompile(p.text) })
	return p.compiled
}

// MatchString says whether the pattern is in the text.
func (p *Pattern) MatchString(text string) bool { return p.Regexp().MatchString(text) }

// FindStringSubmatch is the first match in the text and its groups, nil
// without one.
func (p *Pattern) FindStringSubmatch(text string) []string {
	return p.Regexp().FindStringSubmatch(text)
}

// ReplaceAllString is the text with every match replaced, $1 in the
// replacement standing for the first group.
func (p *Pattern) ReplaceAllString(text, replacement string) string {
	return p.Regexp().ReplaceAllString(text, replacement)
}
