package deb

import (
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/license"
)

// freeForm finds the licences of a copyright file in prose: those whose texts
// it quotes, those whose notices say which version may be used, and those that
// it refers to in usr/share/common-licenses. Where a reference is all there
// is, nobody knows whether a later version may be chosen, and a LicenseRef
// says so. A file of which nothing is recognised is a licence of its own.
func freeForm(copyright []byte) Copyright {
	c := Copyright{License: NoAssertion, Texts: map[string]string{}, FreeForm: true}
	whole := strings.TrimSpace(strings.ToValidUTF8(string(copyright), "�"))
	if whole == "" {
		return c
	}
	found := license.Texts(copyright)
	plain := space.ReplaceAllString(strings.ToLower(whole), " ")
	for _, m := range notice.Regexp().FindAllStringSubmatch(plain, -1) {
		if m[3] != "" || m[4] != "" {
			found = append(found, gnuVersion(gnuFamily(m[1]), m[2], m[4] != ""))
		}
	}
	for _, m := range shortName.Regexp().FindAllStringSubmatch(plain, -1) {
		found = append(found, gnuVersion(strings.ToUpper(m[1]), m[2], true))
	}
	if gccException.MatchString(plain) && slices.Contains(found, "GPL-3.0-or-later") {
		found = append(found, "GPL-3.0-or-later WITH GCC-exception-3.1")
	}
	found = c.common(whole, found)
	if len(found) == 0 {
		c.Texts[licenseRef+"copyright"] = truncated(whole)
		found = []string{licenseRef + "copyright"}
	}
	c.License = conjunction(found)
	return c
}

var (
	space = recipes.NewPattern(`[\s*#>|]+`)
	// notice is how the GNU licences are applied to a program.
	notice = recipes.NewPattern(`(lesser general|library general|affero general|general|free documentation) (?:public )?license(?:[^.;]{0,120}?[,;]?) (?:either )?(?:version |v)([0-9](?:\.[0-9])?)( of the license)?,?( or \(?at your option\)? any later version| or any later version)?`)
	// shortName is how maintainers name them: LGPLv2.1+.
	shortName    = recipes.NewPattern(`\b(lgpl|agpl|gpl)v?-?([0-9](?:\.[0-9])?)\+`)
	gccException = recipes.NewPattern(`gcc runtime library exception`)
	commonFile   = recipes.NewPattern(`/usr/share/common-licenses/([A-Za-z0-9+-]+(?:\.[0-9]+)*)`)
)

func gnuFamily(words string) string {
	switch {
	case strings.HasPrefix(words, "lesser"), strings.HasPrefix(words, "library"):
		return "LGPL"
	case strings.HasPrefix(words, "affero"):
		return "AGPL"
	case strings.HasPrefix(words, "free"):
		return "GFDL"
	}
	return "GPL"
}

func gnuVersion(family, version string, later bool) string {
	if !strings.Contains(version, ".") {
		version += ".0"
	}
	if later {
		return family + "-" + version + "-or-later"
	}
	return family + "-" + version + "-only"
}

// common adds the licences of usr/share/common-licenses that the file refers
// to and that nothing else in it has named.
func (c *Copyright) common(text string, found []string) []string {
	for _, m := range commonFile.Regexp().FindAllStringSubmatch(text, -1) {
		name := strings.TrimSuffix(m[1], "-")
		family, version, versioned := strings.Cut(name, "-")
		switch family {
		case "GPL", "LGPL", "GFDL":
		default:
			if id := commonName(name); id != "" {
				found = append(found, id)
			}
			continue
		}
		prefix := family + "-"
		if versioned {
			prefix += version
		}
		if slices.ContainsFunc(found, func(id string) bool { return strings.HasPrefix(id, prefix) }) {
			continue
		}
		id := reference(name)
		found = append(found, id)
		c.Texts[id] = "The package's copyright file refers to /usr/share/common-licenses/" + name +
			" and does not say whether a later version may be chosen."
	}
	return found
}

// commonName translates the names of the other files in that folder.
func commonName(name string) string {
	switch name {
	case "BSD":
		return "BSD-3-Clause"
	case "Artistic":
		return "Artistic-1.0-Perl"
	case "Apache-2.0", "CC0-1.0", "MPL-1.1", "MPL-2.0":
		return name
	}
	return ""
}

func truncated(text string) string {
	if len(text) <= maxLicenseText {
		return text
	}
	return strings.ToValidUTF8(text[:maxLicenseText], "") + " […]"
}
