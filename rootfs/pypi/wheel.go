package pypi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// wheelName is the name of a wheel taken apart (PEP 427).
type wheelName struct {
	project, version, build string
	pythons, abis, systems  []string
}

var (
	wheelPart = recipes.NewPattern(`^[A-Za-z0-9_.!+]+$`)
	manylinux = recipes.NewPattern(`^manylinux_2_(\d+)_(.+)$`)
	musllinux = recipes.NewPattern(`^musllinux_1_(\d+)_(.+)$`)
	cpython   = recipes.NewPattern(`^cp3(\d+)$`)
)

// parseWheelName reads name-version[-build]-python-abi-platform.whl.
func parseWheelName(file string) (wheelName, error) {
	stem, ok := strings.CutSuffix(file, ".whl")
	f := strings.Split(stem, "-")
	if !ok || len(f) != 5 && len(f) != 6 {
		return wheelName{}, fmt.Errorf("%q is no wheel's name", file)
	}
	for _, part := range f {
		if !wheelPart.MatchString(part) {
			return wheelName{}, fmt.Errorf("%q is no wheel's name", file)
		}
	}
	n := len(f)
	w := wheelName{project: f[0], version: f[1], pythons: strings.Split(f[n-3], "."), abis: strings.Split(f[n-2], "."), systems: strings.Split(f[n-1], ".")}
	if n == 6 {
		if w.build = f[2]; w.build[0] < '0' || w.build[0] > '9' {
			return wheelName{}, fmt.Errorf("%q: build tag %q does not begin with a digit", file, w.build)
		}
	}
	if _, err := parseVersion(w.version); err != nil {
		return wheelName{}, fmt.Errorf("%q: %w", file, err)
	}
	return w, nil
}

// rank says how well a wheel fits: 0 does not, and the higher of two is the
// more specific one, as installers have it.
func (w wheelName) rank(t Target) (int, error) {
	minor, err := t.minor()
	if err != nil {
		return 0, err
	}
	best := 0
	for _, p := range w.pythons {
		for _, a := range w.abis {
			for _, s := range w.systems {
				i, j := interpreterRank(p, a, minor), systemRank(s, t)
				if i > 0 && j > 0 {
					best = max(best, i*1000+j)
				}
			}
		}
	}
	return best, nil
}

// interpreterRank is 0 for a tag that Python 3.minor does not take.
func interpreterRank(python, abi string, minor int) int {
	if m := cpython.FindStringSubmatch(python); m != nil {
		n, err := strconv.Atoi(m[1])
		switch {
		case err != nil || n > minor:
			return 0
		case abi == python && n == minor:
			return 500
		case abi == "abi3" && n >= 2:
			return 300 + n
		case abi == "none" && n == minor:
			return 200
		}
		return 0
	}
	if abi != "none" {
		return 0
	}
	switch python {
	case "py3":
		return 100
	case "py3" + strconv.Itoa(minor):
		return 150
	}
	if m, ok := strings.CutPrefix(python, "py3"); ok {
		if n, err := strconv.Atoi(m); err == nil && n < minor {
			return 101 + n
		}
	}
	return 0
}

// systemRank is 0 for a tag that the target's system does not take.
func systemRank(tag string, t Target) int {
	if tag == "any" {
		return 1
	}
	form, most := manylinux, glibcMinor
	if t.Libc == Musl {
		form, most = musllinux, muslMinor
	} else {
		for old, minor := range map[string]string{"manylinux1_": "5", "manylinux2010_": "12", "manylinux2014_": "17"} {
			if arch, ok := strings.CutPrefix(tag, old); ok {
				tag = "manylinux_2_" + minor + "_" + arch
			}
		}
	}
	m := form.FindStringSubmatch(tag)
	if m == nil || m[2] != t.Arch {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > most {
		return 0
	}
	return 10 + n
}

// release is one file of a project's release, as the index lists it.
type release struct {
	Filename string            `json:"filename"`
	URL      string            `json:"url"`
	Hashes   map[string]string `json:"hashes"`
	Size     int64             `json:"size"`
	Python   *string           `json:"requires-python"`
}

// chooseWheel picks the wheel of the version that fits the target best.
func chooseWheel(files []release, project, want string, t Target) (release, error) {
	v, err := parseVersion(want)
	if err != nil {
		return release{}, err
	}
	best, found, others := 0, release{}, []string{}
	for _, f := range files {
		w, err := parseWheelName(f.Filename)
		if err != nil || Normalize(w.project) != project {
			continue // an egg, an sdist, a signature
		}
		if got, err := parseVersion(w.version); err != nil || got.compare(v) != 0 {
			continue
		}
		rank, err := w.rank(t)
		if err != nil {
			return release{}, err
		}
		others = append(others, f.Filename)
		if rank > best || rank == best && rank > 0 && f.Filename > found.Filename {
			best, found = rank, f
		}
	}
	if best == 0 {
		slices.Sort(others)
		return release{}, fmt.Errorf("no wheel of %s %s fits Python %s on %s %s (there are %q); name another version, or take the sdist with sdist: true",
			project, want, t.Python, t.Libc, t.Arch, others)
	}
	return found, nil
}

// chooseSDist picks the source archive of the version.
func chooseSDist(files []release, project, want string) (release, error) {
	v, err := parseVersion(want)
	if err != nil {
		return release{}, err
	}
	for _, f := range files {
		stem, ok := strings.CutSuffix(f.Filename, ".tar.gz")
		if !ok {
			if stem, ok = strings.CutSuffix(f.Filename, ".zip"); !ok {
				continue
			}
		}
		dash := strings.LastIndexByte(stem, '-')
		if dash < 0 || Normalize(stem[:dash]) != project {
			continue
		}
		if got, err := parseVersion(stem[dash+1:]); err == nil && got.compare(v) == 0 {
			return f, nil
		}
	}
	return release{}, fmt.Errorf("no sdist of %s %s", project, want)
}
