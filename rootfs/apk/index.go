package apk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// Archive is the name that locks and --mirror know Alpine's mirror by.
const Archive = "alpine"

// Index is what one branch of Alpine offers for one architecture.
type Index struct {
	// Packages of all repositories, in the order of the indexes.
	Packages []*Package
	// Locked names the index files that this was read from.
	Locked []recipes.LockedIndex
	// Release is the branch: v3.24.
	Release string
	// Date is that of the newest index.
	Date time.Time
	// Descriptions are what the index files call themselves.
	Descriptions []string

	// What the last request was solved on, kept because the next one is
	// mostly on the same root.
	universe       *universe
	builtWorld     []Dependency
	builtInstalled []*Package
	builtExcluded  map[string]bool
	byName         map[string][]*Package
}

// maxLine bounds one line of an index; the longest real one (the provides of
// a large library package) has under 64 KiB.
const maxLine = 4 << 20

// ParseIndex reads the text of an APKINDEX: records of "K:value" lines with
// an empty line after each. Repository is stored in every package.
func ParseIndex(r io.Reader, repository string) ([]*Package, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var packages []*Package
	var current *Package
	number := 0
	finish := func() error {
		if current == nil {
			return nil
		}
		if err := current.check(); err != nil {
			return fmt.Errorf("record before line %d: %w", number, err)
		}
		packages = append(packages, current)
		current = nil
		return nil
	}
	for lines.Scan() {
		number++
		line := lines.Text()
		if line == "" {
			if err := finish(); err != nil {
				return nil, err
			}
			continue
		}
		if current == nil {
			current = &Package{Repository: repository}
		}
		if err := current.set(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	number++
	if err := finish(); err != nil {
		return nil, err
	}
	return packages, nil
}

// set takes one "K:value" line.
func (p *Package) set(line string) error {
	if len(line) < 2 || line[1] != ':' {
		return fmt.Errorf("want a letter and a colon, found %q", cut(line))
	}
	value := line[2:]
	var err error
	switch line[0] {
	case 'C':
		p.Checksum = value
	case 'P':
		p.Name = value
	case 'V':
		p.Version = value
	case 'A':
		p.Arch = value
	case 'S':
		p.Size, err = parseCount(value)
	case 'I':
		p.InstalledSize, err = parseCount(value)
	case 'T':
		p.Description = value
	case 'U':
		p.URL = value
	case 'L':
		p.License = value
	case 'o':
		p.Origin = value
	case 'm':
		p.Maintainer = value
	case 'c':
		p.Commit = value
	case 't':
		var seconds int64
		seconds, err = parseCount(value)
		p.BuildTime = time.Unix(seconds, 0).UTC()
	case 'k':
		p.ProviderPriority, err = parsePriority(value)
	case 'q':
		p.ReplacesPriority, err = parsePriority(value)
	case 'D':
		p.Depends, err = parseDependencies(value)
	case 'p':
		p.Provides, err = parseDependencies(value)
	case 'i':
		p.InstallIf, err = parseDependencies(value)
	case 'r':
		p.Replaces, err = parseDependencies(value)
	}
	// Other letters belong to newer formats; apk skips them too.
	if err != nil {
		return fmt.Errorf("field %c of %q: %w", line[0], p.Name, err)
	}
	return nil
}

// check holds a complete record to what the rest of this package relies on:
// a name and a version that cannot leave a folder or a line.
func (p *Package) check() error {
	if !validName(p.Name) {
		return fmt.Errorf("%q is no package name", cut(p.Name))
	}
	if p.Version == "" || strings.ContainsAny(p.Version, "/ \t\x00") {
		return fmt.Errorf("package %s: %q is no version", p.Name, cut(p.Version))
	}
	if strings.ContainsAny(p.Arch, "/ \t\x00") {
		return fmt.Errorf("package %s: %q is no architecture", p.Name, cut(p.Arch))
	}
	if _, err := p.ControlSum(); err != nil {
		return fmt.Errorf("package %s: %w", p.Name, err)
	}
	return nil
}

// validName takes what aports allows for a name: letters, digits, "+", "-",
// ".", "_", beginning with none of the signs but "_" and ".".
func validName(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c):
		case c == '_' || c == '.':
		case c == '+' || c == '-':
			if i == 0 {
				return false
			}
		default:
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New(strconv.Quote(cut(s)) + " is no count")
	}
	return n, nil
}

func parsePriority(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, errors.New(strconv.Quote(cut(s)) + " is no priority")
	}
	return int(n), nil
}

// cut keeps hostile text in messages short.
func cut(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Has says whether the index lists a package in a version.
func (ix *Index) Has(name, version string) bool {
	return slices.ContainsFunc(ix.named(name), func(p *Package) bool { return p.Version == version })
}

// Add lists a package that the repositories have no more, or not in this
// version, as it describes itself (Contents.Package).
func (ix *Index) Add(p *Package) {
	ix.Packages = append(slices.Clip(ix.Packages), p)
	ix.universe, ix.byName = nil, nil
}
