package deb

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// NoAssertion is SPDX's word for a licence that nobody has determined.
const NoAssertion = "NOASSERTION"

// maxCopyright bounds the copyright file that is read, in bytes.
const maxCopyright = 4 << 20

// license reads the package's own copyright file. A package whose
// documentation folder is a link to another's has none of its own.
func (c *Contents) license(ctx context.Context) (string, error) {
	want := "usr/share/doc/" + c.Name + "/copyright"
	i := slices.IndexFunc(c.Entries, func(e rootfs.Entry) bool { return e.Path == want && e.Type == rootfs.Regular })
	if i < 0 {
		return NoAssertion, nil
	}
	r, err := c.Entries[i].Content.Open(ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxCopyright))
	if err != nil {
		return "", err
	}
	return License(text), nil
}

// License gives a copyright file's licences as one SPDX expression: all short
// names of a machine-readable file (DEP-5), joined by AND, sorted. Names that
// SPDX has under another name are translated, the others become
// LicenseRef-NAME. Licences of the packaging alone (Files: debian/*) count
// only where there are no others. A file in free form gives NOASSERTION:
// nothing is guessed from prose.
func License(copyright []byte) string {
	if !bytes.HasPrefix(bytes.TrimLeft(copyright, " \t\r\n"), []byte("Format:")) {
		return NoAssertion
	}
	var program, packaging []string
	r := newControlReader(bytes.NewReader(copyright))
	r.comments = true
	for {
		p, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return NoAssertion
		}
		files := p.get("Files")
		name, _, _ := strings.Cut(p.get("License"), "\n")
		name = strings.TrimSpace(name)
		switch {
		case files == "" || name == "":
		case strings.HasPrefix(files, "debian/"):
			packaging = append(packaging, expression(name))
		default:
			program = append(program, expression(name))
		}
	}
	if len(program) == 0 {
		program = packaging
	}
	slices.Sort(program)
	program = slices.Compact(program)
	if len(program) == 0 {
		return NoAssertion
	}
	if len(program) > 1 {
		for i, e := range program {
			if strings.Contains(e, " OR ") && !strings.HasPrefix(e, "(") {
				program[i] = "(" + e + ")"
			}
		}
	}
	return strings.Join(program, " AND ")
}

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
	orWord  = regexp.MustCompile(`(?i),?\s+or\s+|\|`)
	andWord = regexp.MustCompile(`(?i),?\s+and\s+|,\s*|&`)
	gnuName = regexp.MustCompile(`^(gpl|lgpl|agpl|gfdl)-v?([0-9](?:\.[0-9])?)(\+|-or-later)?(?:-only)?$`)
	notInID = regexp.MustCompile(`[^A-Za-z0-9.]+`)
)

// spdxID gives one short name its SPDX identifier. Debian writes GPL-2+ where
// SPDX writes GPL-2.0-or-later (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
func spdxID(name string) string {
	lower := strings.ToLower(name)
	if gnu := gnuName.FindStringSubmatch(lower); gnu != nil {
		version := gnu[2]
		if !strings.Contains(version, ".") {
			version += ".0"
		}
		suffix := "-only"
		if gnu[3] != "" {
			suffix = "-or-later"
		}
		return strings.ToUpper(gnu[1]) + "-" + version + suffix
	}
	if id, ok := spdxNames()[lower]; ok {
		return id
	}
	return "LicenseRef-" + strings.Trim(notInID.ReplaceAllString(name, "-"), "-")
}

// spdxNames are the names that DEP-5 files use for licences of SPDX's list,
// lower case.
func spdxNames() map[string]string {
	return map[string]string{
		"apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0", "artistic": "Artistic-1.0-Perl", "artistic-2": "Artistic-2.0",
		"artistic-2.0": "Artistic-2.0", "0bsd": "0BSD", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause",
		"bsd-4-clause": "BSD-4-Clause", "bsd-4-clause-uc": "BSD-4-Clause-UC", "bsl-1.0": "BSL-1.0", "cc0-1.0": "CC0-1.0", "cc0": "CC0-1.0",
		"cc-by-3.0": "CC-BY-3.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-3.0": "CC-BY-SA-3.0", "cc-by-sa-4.0": "CC-BY-SA-4.0",
		"curl": "curl", "expat": "MIT", "mit": "MIT", "fsfap": "FSFAP", "fsful": "FSFUL", "fsfullr": "FSFULLR", "isc": "ISC",
		"mpl-1.1": "MPL-1.1", "mpl-2": "MPL-2.0", "mpl-2.0": "MPL-2.0", "openssl": "OpenSSL", "ofl-1.1": "OFL-1.1",
		"postgresql": "PostgreSQL", "psf-2": "PSF-2.0", "psf-2.0": "PSF-2.0", "python-2.0": "Python-2.0",
		"unicode-dfs-2016": "Unicode-DFS-2016", "unlicense": "Unlicense", "x11": "X11", "zlib": "Zlib", "wtfpl": "WTFPL",
		"zpl-2.1": "ZPL-2.1", "bzip2-1.0.6": "bzip2-1.0.6", "libpng": "Libpng", "icu": "ICU", "hpnd": "HPND", "ftl": "FTL", "ijg": "IJG",
	}
}
