package deb

import (
	"fmt"
	"strings"

	"pault.ag/go/debian/version"
)

// CompareVersions orders two package versions as dpkg does (Debian Policy
// 5.6.12): negative where a is older, zero where they are equal. A version
// that is not valid is an error.
func CompareVersions(a, b string) (int, error) {
	if a == b {
		return 0, nil
	}
	va, err := parseVersion(a)
	if err != nil {
		return 0, err
	}
	vb, err := parseVersion(b)
	if err != nil {
		return 0, err
	}
	return version.Compare(va, vb), nil
}

// Upstream is the version without epoch and Debian revision: 17.12 of
// 1:17.12-0+deb13u1.
func Upstream(v string) string {
	if i := strings.IndexByte(v, ':'); i >= 0 {
		v = v[i+1:]
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		v = v[:i]
	}
	return v
}

func parseVersion(s string) (version.Version, error) {
	v, err := version.Parse(s)
	if err != nil {
		return v, fmt.Errorf("version %q: %w", s, err)
	}
	if v.Version == "" { // "-" or "0:": the library takes what is around it
		return v, fmt.Errorf("version %q: it has no upstream part", s)
	}
	return v, nil
}
