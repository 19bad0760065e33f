package sbom

import (
	"regexp"
	"sort"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
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
	if declared == "" {
		return noAssertion
	}
	if e, ok := l.known[declared]; ok {
		return e
	}
	e := l.parse(declared)
	l.known[declared] = e
	return e
}

func (l *licenses) parse(declared string) string {
	words := strings.Fields(debianNames.Replace(declared))
	for i, word := range words {
		bare := strings.Trim(word, "()")
		if other, ok := wholeNames[bare]; ok {
			words[i] = strings.Replace(word, bare, other, 1)
		}
	}
	if e, ok := normal(strings.Join(words, " ")); ok {
		return e
	}
	if e, ok := normal(declared); ok {
		return e
	}
	return l.parts(declared)
}

// conjunction separates licences that all hold.
var conjunction = regexp.MustCompile(`(?i)\s+and\s+|\s*[,;]\s*`)

// parts keeps those terms of a conjunction that are SPDX's and names the
// others by a LicenseRef.
func (l *licenses) parts(declared string) string {
	terms := conjunction.Split(declared, -1)
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
		return e
	}
	return l.reference(declared)
}

// normal is an SPDX expression as the standard writes it.
func normal(expression string) (string, bool) {
	normalized, invalid := spdxexp.ValidateAndNormalizeLicensesWithOptions([]string{expression}, spdxexp.ValidateLicensesOptions{})
	if len(invalid) > 0 || len(normalized) != 1 {
		return "", false
	}
	return normalized[0], true
}

var notIdentifier = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

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
