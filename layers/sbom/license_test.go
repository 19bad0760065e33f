package sbom

import "testing"

func TestLicenceExpressions(t *testing.T) {
	tests := map[string]string{
		"":                                noAssertion,
		"MIT":                             "MIT",
		"Expat":                           "MIT",
		"GPL-2+":                          "GPL-2.0-or-later",
		"LGPL-2.1+":                       "LGPL-2.1-or-later",
		"GPL-2.0-only AND Apache-2.0":     "GPL-2.0-only AND Apache-2.0",
		"Expat and GPL-3+":                "MIT AND GPL-3.0-or-later",
		"GPL-2 or Expat":                  "GPL-2.0-only OR MIT",
		"GPL-2+, Expat":                   "GPL-2.0-or-later AND MIT",
		"GPL-2 or Expat, Custom":          "(GPL-2.0-only OR MIT) AND LicenseRef-Custom",
		"NOASSERTION":                     noAssertion,
		"MIT AND (ISC OR ISC) AND MIT":    "MIT AND ISC",
		"MIT AND (ISC OR GPL-2+) AND MIT": "MIT AND (ISC OR GPL-2.0-or-later)",
		"MIT AND LicenseRef-verbatim":     "MIT AND LicenseRef-verbatim",
		"public-domain":                   "LicenseRef-public-domain",
		"GPL-3+ with Autoconf exception":  "LicenseRef-GPL-3-with-Autoconf-exception",
		"Apache License, Version 2.0 (x)": "LicenseRef-Apache-License-Version-2.0-x",
	}
	l := newLicenses()
	// The names come in a fixed order, as packages do.
	for _, declared := range []string{
		"", "NOASSERTION", "MIT AND (ISC OR ISC) AND MIT", "MIT AND (ISC OR GPL-2+) AND MIT", "MIT AND LicenseRef-verbatim",
		"MIT", "Expat", "GPL-2+", "LGPL-2.1+", "GPL-2.0-only AND Apache-2.0", "Expat and GPL-3+", "GPL-2 or Expat",
		"GPL-2+, Expat", "GPL-2 or Expat, Custom", "public-domain", "GPL-3+ with Autoconf exception", "Apache License, Version 2.0 (x)",
	} {
		got := l.expression(declared)
		if got != tests[declared] {
			t.Errorf("%q: %s, want %s", declared, got, tests[declared])
		}
		if got != noAssertion && !isNormal(got) {
			t.Errorf("%q: %s is not an SPDX expression", declared, got)
		}
	}
	for _, e := range l.known {
		for _, id := range referenceName.Regexp().FindAllString(e, -1) {
			if l.refs[id] == nil {
				t.Errorf("%s is not defined", id)
			}
		}
	}
	// Two names that would have one identifier keep two.
	first, second := l.expression("public-domain"), l.expression("public domain")
	if first == second || len(l.list()) < 4 {
		t.Errorf("%s, %s, %d references", first, second, len(l.list()))
	}
}

func isNormal(expression string) bool {
	_, ok := normal(expression)
	return ok
}

func FuzzExpression(f *testing.F) {
	f.Add("GPL-2+ and Expat")
	f.Fuzz(func(t *testing.T, declared string) {
		l := newLicenses()
		if e := l.expression(declared); e != noAssertion && !isNormal(e) {
			t.Errorf("%q: %q is not an SPDX expression", declared, e)
		}
	})
}
