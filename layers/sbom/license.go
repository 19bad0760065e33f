package sbom

import (
	"sort"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/recipes"
)

const noAssertion = "NOASSERTION"

// licenses turns what packages call their licences into SPDX expressions.
// What is not one becomes a LicenseRef that quotes the name.
type licenses struct {
	known map[string]string
	refs  map[string]*spdx.OtherLicense
}

func newLicenses() *licenses {
	return &licenses{known: map[string]string{}, refs: map[string]*spdx.OtherLicense{}}
}

// debianNames are the short names of Debian's copyright format that differ
// from SPDX's:
// https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-short-name.
var debianNames = strings.NewReplacer(
	"LGPL-2.1+", "LGPL-2.1-or-later", "LGPL-2+", "LGPL-2.0-or-later", "LGPL-3+", "LGPL-3.0-or-later",
	"LGPL-2.0+", "LGPL-2.0-or-later", "LGPL-3.0+", "LGPL-3.0-or-later",
	"AGPL-3+", "AGPL-3.0-or-later", "GPL-1+", "GPL-1.0-or-later",
	"GPL-2.0+", "GPL-2.0-or-later", "GPL-3.0+", "GPL-3.0-or-later",
	"GPL-2+", "GPL-2.0-or-later", "GPL-3+", "GPL-3.0-or-later",
	"BSD-2-clause", "BSD-2-Clause", "BSD-3-clause", "BSD-3-Clause", "BSD-4-clause", "BSD-4-Clause",
)

// wholeNames are words that become others only as a whole.
var wholeNames = map[string]string{
	"Expat": "MIT", "GPL-1": "GPL-1.0-only", "GPL-2": "GPL-2.0-only", "GPL-3": "GPL-3.0-only",
	"LGPL-2": "LGPL-2.0-only", "LGPL-2.1": "LGPL-2.1-only", "LGPL-3": "LGPL-3.0-only", "AGPL-3": "AGPL-3.0-only",
	"ISC": "ISC", "Zlib": "Zlib", "PSF-2": "PSF-2.0", "and": "AND", "or": "OR", "with": "WITH",
}

// expression returns an SPDX licence expression for what a package declares.
func (l *licenses) expression(declared string) string {
	declared = strings.Join(strings.Fields(declared), " ")
	if declared == "" || declared == noAssertion || declared == "NONE" {
		return noAssertion
	}
	if e, ok := l.known[declared]; ok {
		return e
	}
	e := l.parse(declared)
	l.known[declared] = e
	return e
}

// stated is an expression for what a file states. A licence of which it has
// the text gets a name of its own: what one package calls "public-domain" or
// "permissive" is not what another does.
func (l *licenses) stated(s Stated, scope string) string {
	e := referenceName.Regexp().ReplaceAllStringFunc(s.License, func(id string) string {
		text, ok := s.Texts[id]
		if !ok {
			return id
		}
		name := strings.TrimPrefix(id, "LicenseRef-")
		scoped := "LicenseRef-" + strings.Trim(notIdentifier.ReplaceAllString(scope, "-"), "-.") + "-" + name
		if other, ok := l.refs[scoped]; ok && other.ExtractedText != text {
			scoped += "-" + fingerprint(text)[:8]
		}
		l.refs[scoped] = &spdx.OtherLicense{LicenseIdentifier: scoped, LicenseName: name, ExtractedText: text}
		return scoped
	})
	return l.expression(e)
}

func (l *licenses) parse(declared string) string {
	words := strings.Fields(debianNames.Replace(declared))
	for i, word := range words {
		bare := strings.Trim(word, "()")
		if other, ok := wholeNames[bare]; ok {
			words[i] = strings.Replace(word, bare, other, 1)
		}
	}
	for _, candidate := range []string{strings.Join(words, " "), declared} {
		if e, ok := normal(candidate); ok {
			l.define(e)
			return unique(e)
		}
	}
	return l.parts(declared)
}

// conjunction separates licences that all hold.
var conjunction = recipes.NewPattern(`(?i)\s+and\s+|\s*[,;]\s*`)

// parts keeps those terms of a conjunction that are SPDX's and names the
// others by a LicenseRef.
func (l *licenses) parts(declared string) string {
	terms := conjunction.Regexp().Split(declared, -1)
	if len(terms) == 1 || strings.ContainsAny(declared, "()") {
		return l.reference(declared)
	}
	for i, term := range terms {
		e := l.expression(term)
		if strings.Contains(e, " OR ") {
			e = "(" + e + ")"
		}
		terms[i] = e
	}
	e := strings.Join(terms, " AND ")
	if e, ok := normal(e); ok && !strings.Contains(e, noAssertion) {
		return unique(e)
	}
	return l.reference(declared)
}

var referenceName = recipes.NewPattern(`LicenseRef-[A-Za-z0-9.-]+`)

// define gives a text to every LicenseRef that a package's own expression
// uses: a document must not refer to what it does not hold.
func (l *licenses) define(expression string) {
	for _, id := range referenceName.Regexp().FindAllString(expression, -1) {
		if _, ok := l.refs[id]; !ok {
			name := strings.TrimPrefix(id, "LicenseRef-")
			l.refs[id] = &spdx.OtherLicense{
				LicenseIdentifier: id,
				LicenseName:       name,
				ExtractedText:     "The package's copyright file names this licence: " + name,
			}
		}
	}
}

// unique says each term of an expression once.
func unique(expression string) string {
	for _, operator := range []string{" OR ", " AND "} {
		terms := split(expression, operator)
		if len(terms) == 1 {
			continue
		}
		seen := map[string]bool{}
		var kept []string
		for _, term := range terms {
			if term = unique(term); !seen[term] {
				seen[term] = true
				kept = append(kept, term)
			}
		}
		return strings.Join(kept, operator)
	}
	inner, ok := strings.CutPrefix(expression, "(")
	if !ok || !strings.HasSuffix(inner, ")") {
		return expression
	}
	inner = unique(strings.TrimSuffix(inner, ")"))
	if !strings.Contains(inner, " ") {
		return inner
	}
	return "(" + inner + ")"
}

// split cuts an expression at an operator that stands in no parentheses.
func split(expression, operator string) []string {
	var terms []string
	depth, start := 0, 0
	for i := range len(expression) {
		switch {
		case expression[i] == '(':
			depth++
		case expression[i] == ')':
			depth--
		case depth == 0 && i >= start && strings.HasPrefix(expression[i:], operator):
			terms = append(terms, expression[start:i])
			start = i + len(operator)
		}
	}
	return append(terms, expression[start:])
}

// normal is an SPDX expression as the standard writes it.
func normal(expression string) (string, bool) {
	normalized, invalid := spdxexp.ValidateAndNormalizeLicensesWithOptions([]string{expression}, spdxexp.ValidateLicensesOptions{})
	if len(invalid) > 0 || len(normalized) != 1 {
		return "", false
	}
	return normalized[0], true
}

var notIdentifier = recipes.NewPattern(`[^A-Za-z0-9.-]+`)

func (l *licenses) reference(declared string) string {
	id := "LicenseRef-" + strings.Trim(notIdentifier.ReplaceAllString(declared, "-"), "-.")
	if len(id) > 64 || id == "LicenseRef-" {
		id = "LicenseRef-" + fingerprint(declared)
	}
	for {
		other, ok := l.refs[id]
		if !ok || other.LicenseName == declared {
			break
		}
		id += "-" + fingerprint(declared)
	}
	l.refs[id] = &spdx.OtherLicense{
		LicenseIdentifier: id,
		LicenseName:       declared,
		ExtractedText:     "The package declares its licence as: " + declared,
	}
	return id
}

func (l *licenses) list() []*spdx.OtherLicense {
	all := make([]*spdx.OtherLicense, 0, len(l.refs))
	for _, other := range l.refs {
		all = append(all, other)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].LicenseIdentifier < all[j].LicenseIdentifier })
	return all
}
