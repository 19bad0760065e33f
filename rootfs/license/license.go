// Package license recognises the common free-software licences by the names,
// addresses and texts that artefacts carry, and names them as SPDX does. It
// is for metadata where a recipe says nothing: what it does not know for sure
// it leaves empty.
package license

import (
	"strings"

	"github.com/anchore/syft/syft/license"

	"github.com/shudl/shudl-assemble/recipes"
)

// FromName turns the name or the address of a licence into an SPDX id, or ""
// where it is none of those known. What is an id, an expression or an address
// by SPDX's own list is read as syft reads it.
func FromName(s string) string {
	name := plain(s)
	if name == "" {
		return ""
	}
	for _, r := range byName {
		if r.match.MatchString(name) {
			return r.id
		}
	}
	if e, err := license.ParseExpression(strings.TrimSpace(s)); err == nil {
		return e
	}
	return ""
}

// FromText recognises a licence file by what only that licence says; ""
// where it is none of those known, or more than one.
func FromText(text []byte) string {
	if found := Texts(text[:min(len(text), maxText)]); len(found) == 1 {
		return found[0]
	}
	return ""
}

// Leading recognises the licence that a file begins with, whatever texts of
// others follow it.
func Leading(text []byte) string {
	if id := FromText(text); id != "" {
		return id
	}
	return FromText(text[:min(len(text), leading)])
}

// leading is about the length of the Apache licence, in bytes: the longest
// that files commonly put before those of others.
const leading = 10 << 10

// Texts lists the licences whose texts a file quotes, in a fixed order.
func Texts(text []byte) []string {
	s := plain(string(text))
	var found []string
	for _, r := range byText {
		if r.match.MatchString(s) && (r.not == nil || !r.not.MatchString(s)) {
			found = append(found, r.id)
		}
	}
	return found
}

// maxText is how much of a licence file is looked at, in bytes.
const maxText = 64 << 10

var space = recipes.NewPattern(`[\s*#/"'` + "`" + `]+`)

// plain folds case, white space and comment signs.
func plain(s string) string {
	return strings.TrimSpace(space.ReplaceAllString(strings.ToLower(s), " "))
}

type rule struct {
	id         string
	match, not *recipes.Pattern
}

// byName holds what POMs and Python classifiers call licences; the first
// that matches counts, so versions stand before the bare name.
var byName = []rule{
	{id: "Apache-2.0", match: recipes.NewPattern(`apache.*2|^asl ?2|^apache-2\.0$`)},
	{id: "MIT-0", match: recipes.NewPattern(`^mit-0|mit no attribution`)},
	{id: "MIT", match: recipes.NewPattern(`^(the )?mit( license)?$|licenses mit(-license)?(\.php)?$|mit license|osi approved :: mit`)},
	{id: "BSD-2-Clause", match: recipes.NewPattern(`bsd[- ]?2|2-clause bsd|simplified bsd|bsd-2-clause`)},
	{id: "BSD-3-Clause", match: recipes.NewPattern(`bsd[- ]?3|3-clause bsd|new bsd|revised bsd|bsd-3-clause|modified bsd`)},
	{id: "EPL-2.0", match: recipes.NewPattern(`eclipse public license.*2|epl[- ]?(v ?)?2`)},
	{id: "EPL-1.0", match: recipes.NewPattern(`eclipse public license.*1|epl[- ]?(v ?)?1`)},
	{id: "MPL-2.0", match: recipes.NewPattern(`mozilla public license.*2|mpl[- ]?(v ?)?2`)},
	{id: "AGPL-3.0-or-later", match: recipes.NewPattern(`(affero|agpl).*(or later|3\+)`)},
	{id: "AGPL-3.0-only", match: recipes.NewPattern(`(affero|agpl).*3`)},
	{id: "LGPL-3.0-or-later", match: recipes.NewPattern(`(lesser|lgpl).*3.*(or later|\+)`)},
	{id: "LGPL-3.0-only", match: recipes.NewPattern(`(lesser|lgpl).*3`)},
	{id: "LGPL-2.1-or-later", match: recipes.NewPattern(`(lesser|lgpl).*2\.1.*(or later|\+)`)},
	{id: "LGPL-2.1-only", match: recipes.NewPattern(`(lesser|lgpl).*2\.1`)},
	{id: "GPL-2.0-with-classpath-exception", match: recipes.NewPattern(`(gpl|general public).*2.*classpath|classpath.*(gpl|general public).*2`)},
	{id: "GPL-3.0-only", match: recipes.NewPattern(`(gnu general public license|gpl)[- ,v(ersion)]*3`)},
	{id: "GPL-2.0-only", match: recipes.NewPattern(`(gnu general public license|gpl)[- ,v(ersion)]*2`)},
	{id: "CC0-1.0", match: recipes.NewPattern(`cc0`)},
	{id: "ISC", match: recipes.NewPattern(`^isc|isc license`)},
	{id: "PSF-2.0", match: recipes.NewPattern(`^psf-2|python software foundation`)},
	{id: "Unlicense", match: recipes.NewPattern(`unlicense`)},
	{id: "PostgreSQL", match: recipes.NewPattern(`^postgresql`)},
	{id: "Zlib", match: recipes.NewPattern(`^zlib`)},
}

// byText holds sentences that stand in one licence only.
var byText = []rule{
	{id: "Apache-2.0", match: recipes.NewPattern(`apache license,? version 2\.0, january 2004`)},
	{id: "MIT", match: recipes.NewPattern(`permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files`)},
	{id: "BSD-3-Clause", match: recipes.NewPattern(`redistribution and use in source and binary forms.*neither the names? of`)},
	{id: "BSD-2-Clause", match: recipes.NewPattern(`redistribution and use in source and binary forms`), not: recipes.NewPattern(`neither the names? of|all advertising materials`)},
	{id: "ISC", match: recipes.NewPattern(`permission to use, copy, modify,? and(/or|or)? ?(or )?distribute this software for any purpose with or without fee`)},
	{id: "Python-2.0", match: recipes.NewPattern(`python software foundation license version 2.*beopen`)},
	{id: "PSF-2.0", match: recipes.NewPattern(`python software foundation license version 2`), not: recipes.NewPattern(`beopen`)},
	{id: "Zlib", match: recipes.NewPattern(`this software is provided as-is , without any express or implied warranty.*altered source versions must be plainly marked`)},
	{id: "Unlicense", match: recipes.NewPattern(`this is free and unencumbered software released into the public domain`)},
	{id: "CC0-1.0", match: recipes.NewPattern(`creative commons legal code cc0 1\.0 universal`)},
	{id: "BSL-1.0", match: recipes.NewPattern(`boost software license - version 1\.0`)},
	{id: "EPL-2.0", match: recipes.NewPattern(`eclipse public license - v 2\.0`)},
	{id: "EPL-1.0", match: recipes.NewPattern(`eclipse public license - v 1\.0`)},
	{id: "LGPL-2.1-only", match: recipes.NewPattern(`gnu lesser general public license version 2\.1, february 1999`)},
	{id: "MPL-2.0", match: recipes.NewPattern(`mozilla public license,? version 2\.0`), not: recipes.NewPattern(`gnu general public license version 3`)},
	{id: "AGPL-3.0-only", match: recipes.NewPattern(`gnu affero general public license version 3, 19 november 2007`)},
	{id: "LGPL-3.0-only", match: recipes.NewPattern(`gnu lesser general public license version 3, 29 june 2007`)},
	{id: "GPL-3.0-only", match: recipes.NewPattern(`gnu general public license version 3, 29 june 2007`), not: recipes.NewPattern(`gnu lesser general public license version 3, 29 june 2007`)},
	{id: "GPL-2.0-only", match: recipes.NewPattern(`gnu general public license version 2, june 1991`)},
}
