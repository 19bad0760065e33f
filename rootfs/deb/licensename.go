package deb

import (
	"strings"

	"github.com/github/go-spdx/v2/spdxexp"

	"github.com/shudl/shudl-assemble/recipes"
)

// licenseRef begins the names of licences that SPDX does not list.
const licenseRef = "LicenseRef-"

// expression translates one License line: names joined by "or", "and", commas
// and "with NAME exception".
func expression(line string) string {
	var out []string
	for part := range strings.SplitSeq(orWord.ReplaceAllString(line, "|"), "|") {
		var all []string
		for one := range strings.SplitSeq(andWord.ReplaceAllString(part, "&"), "&") {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, spdxID(one))
			}
		}
		switch {
		case len(all) == 1:
			out = append(out, all[0])
		case len(all) > 1:
			out = append(out, "("+strings.Join(all, " AND ")+")")
		}
	}
	if len(out) == 0 {
		return NoAssertion
	}
	return strings.Join(out, " OR ")
}

// What the short names of a License line are joined by, and how GNU's are made.
var (
	orWord  = recipes.NewPattern(`(?i),?\s+or\s+|\|`)
	andWord = recipes.NewPattern(`(?i),?\s+and\s+|,\s*|&`)
	gnuName = recipes.NewPattern(`^(gpl|lgpl|agpl|gfdl)-?(niv-)?v?([0-9](?:\.[0-9])?)(\+|-or-later)?(?:-only)?(?:[- ]with[- ](.+?)(?:[- ]exceptions?)?)?$`)
	notInID = recipes.NewPattern(`[^A-Za-z0-9.]+`)
)

// spdxID gives one short name its SPDX identifier. Debian writes GPL-2+ where
// SPDX writes GPL-2.0-or-later (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
func spdxID(name string) string {
	lower := strings.ToLower(name)
	if id := gnuID(lower); id != "" {
		return id
	}
	if id, ok := spdxNames()[lower]; ok {
		return id
	}
	if ok, id := spdxexp.ActiveLicense(name); ok {
		return id
	}
	if strings.Contains(lower, " with ") {
		if normal, bad := spdxexp.ValidateAndNormalizeLicensesWithOptions([]string{name}, spdxexp.ValidateLicensesOptions{}); len(bad) == 0 {
			return normal[0]
		}
	}
	return reference(name)
}

// reference is the identifier of a licence that SPDX does not list.
func reference(name string) string {
	name = strings.ReplaceAll(name, "+", " or later ")
	return licenseRef + strings.Trim(notInID.ReplaceAllString(name, "-"), "-")
}

// gnuID translates names of the GNU licences; it is empty for others, and
// where the exception is none that SPDX lists under one name.
func gnuID(lower string) string {
	gnu := gnuName.FindStringSubmatch(lower)
	if gnu == nil {
		return ""
	}
	id := strings.ToUpper(gnu[1]) + "-" + gnu[3]
	if !strings.Contains(gnu[3], ".") {
		id += ".0"
	}
	if gnu[2] != "" { // no invariant sections
		if gnu[1] != "gfdl" {
			return ""
		}
		id += "-no-invariants"
	}
	if gnu[4] != "" {
		id += "-or-later"
	} else {
		id += "-only"
	}
	if gnu[5] == "" {
		return id
	}
	exception, ok := exceptions()[gnu[5]]
	if !ok {
		return ""
	}
	return id + " WITH " + exception
}

// exceptions are the words of DEP-5 for exceptions that SPDX has under one
// name. "Autoconf" is not among them: there are several.
func exceptions() map[string]string {
	return map[string]string{
		"bison": "Bison-exception-2.2", "bison-2.2": "Bison-exception-2.2", "classpath": "Classpath-exception-2.0",
		"gcc": "GCC-exception-3.1", "libtool": "Libtool-exception", "linux-syscall-note": "Linux-syscall-note",
		"texinfo": "Texinfo-exception",
	}
}

// spdxNames are the names that DEP-5 files use for licences of SPDX's list,
// lower case, where the two differ.
func spdxNames() map[string]string {
	return map[string]string{
		"apache-2": "Apache-2.0", "artistic": "Artistic-1.0-Perl", "artistic-2": "Artistic-2.0",
		"bsd3": "BSD-3-Clause", "bsd-3": "BSD-3-Clause", "bsd-3-clauses": "BSD-3-Clause", "bsl-1": "BSL-1.0", "cc0": "CC0-1.0",
		"expat": "MIT", "ftl": "FTL", "gpl2-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
		"mpl-2": "MPL-2.0", "openldap-2.8": "OLDAP-2.8", "psf-2": "PSF-2.0",
	}
}
