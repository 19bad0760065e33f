package deb

import (
	"strings"
	"testing"
)

func TestReadCopyright(t *testing.T) {
	const format = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
	for text, want := range map[string]string{
		" \n":  NoAssertion,
		format: NoAssertion,
		format + "\nFiles: *\nLicense: GPL-2+\n\nFiles: x\nLicense: Expat\n text\n\nFiles: debian/*\nLicense: LGPL-3\n": "GPL-2.0-or-later AND MIT",
		format + "\nFiles: debian/*\nLicense: LGPL-2.1\n":                                                               "LGPL-2.1-only",
		format + "\nFiles: *\nLicense: GPL-1+ or Artistic\n\nFiles: y\nLicense: Apache-2.0\n":                           "Apache-2.0 AND (GPL-1.0-or-later OR Artistic-1.0-Perl)",
		format + "\nFiles: *\nLicense: BSD-3-clause, and public-domain\n":                                               "(BSD-3-Clause AND LicenseRef-public-domain)",
		format + "# a comment\n\nFiles: *\nLicense: GPL-3+ with Bison exception\n":                                      "GPL-3.0-or-later WITH Bison-exception-2.2",
		format + "\nFiles: *\nLicense: GPL2-with-Classpath-exception\n":                                                 "GPL-2.0-only WITH Classpath-exception-2.0",
		format + "\nFiles: *\nLicense: GPL-3.0-or-later WITH Autoconf-exception-macro\n":                                "GPL-3.0-or-later WITH Autoconf-exception-macro",
		format + "\nFiles: *\nLicense: GPL-2+ with Autoconf-data exception\n":                                           "LicenseRef-GPL-2-or-later-with-Autoconf-data-exception",
		format + "\nFiles: *\nLicense: GFDL-NIV-1.3+\n":                                                                 "GFDL-1.3-no-invariants-or-later",
		format + "\nFiles: *\nLicense: hpnd\n":                                                                          "HPND",
		// Free form: what is quoted, what is referred to, and else the whole.
		"This is free software.\n":                            "LicenseRef-copyright",
		format + "broken\n":                                   "LicenseRef-copyright",
		"It is GPL; see\n/usr/share/common-licenses/GPL-3.\n": "LicenseRef-GPL-3",
		"under the GNU General Public License as published by\nthe FSF; either version 2 of the License, or\n(at your option) any later version.\n/usr/share/common-licenses/GPL-2": "GPL-2.0-or-later",
		"the terms of the GNU Lesser General Public License, version 2.1 of the License. /usr/share/common-licenses/LGPL-2.1":                                                       "LGPL-2.1-only",
		"The library is LGPLv2.1+, the tools GPLv3+. /usr/share/common-licenses/GPL-3 /usr/share/common-licenses/LGPL":                                                              "GPL-3.0-or-later AND LGPL-2.1-or-later",
		"see /usr/share/common-licenses/Apache-2.0 and /usr/share/common-licenses/Artistic":                                                                                         "Apache-2.0 AND Artistic-1.0-Perl",
		"GPLv3+ with the GCC Runtime Library Exception, version 3.1":                                                                                                                "GPL-3.0-or-later AND GPL-3.0-or-later WITH GCC-exception-3.1",
	} {
		if got := ReadCopyright([]byte(text)).License; got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestCopyrightTexts(t *testing.T) {
	c := ReadCopyright([]byte("Format: x\n\nFiles: *\nLicense: custom and MIT\n for all\n\nLicense: custom\n Do what\n .\n you like.\n\nLicense: MIT\n Permission\n"))
	if c.FreeForm || len(c.Texts) != 1 || c.Texts["LicenseRef-custom"] != "Do what\n\nyou like." {
		t.Errorf("%+v", c)
	}
	c = ReadCopyright([]byte("Ask before you use it.\n"))
	if !c.FreeForm || c.Texts["LicenseRef-copyright"] != "Ask before you use it." {
		t.Errorf("%+v", c)
	}
	long := ReadCopyright([]byte(strings.Repeat("ä", maxLicenseText)))
	if text := long.Texts["LicenseRef-copyright"]; len(text) > maxLicenseText+8 || !strings.HasSuffix(text, "ä […]") {
		t.Errorf("%d bytes, ends in %q", len(text), text[len(text)-12:])
	}
}
