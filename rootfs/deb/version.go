package deb

import (
	"fmt"

	"pault.ag/go/debian/version"
)

// parseVersion reads a version (Debian Policy 5.6.12), which the library then
// orders as dpkg does. One that is not valid is an error.
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
