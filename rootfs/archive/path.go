// Package archive turns tar, zip and jar files into tree entries without ever
// unpacking one through the host's file system: names in an archive are data,
// content goes from stream to store, and whatever could mean two things to
// two readers is refused.
package archive

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// cleanPath returns the name of a member as a tree has it: slash separated,
// no leading "./". The root itself is ".". A name that could leave the root,
// or that a terminal or a lock file could not carry, is an error.
func cleanPath(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("an entry has no name")
	case !utf8.ValidString(name):
		return "", fmt.Errorf("entry name %q is not UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("entry name %q holds control characters", name)
	case strings.HasPrefix(name, "/"):
		return "", fmt.Errorf("entry name %q is absolute", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("entry name %q leaves the root", name)
		}
	}
	return path.Clean(name), nil
}

// cleanZipPath is cleanPath for zips, where a backslash or a drive letter is
// a path separator to some readers and part of the name to others.
func cleanZipPath(name string) (string, error) {
	if strings.Contains(name, `\`) {
		return "", fmt.Errorf("entry name %q holds a backslash", name)
	}
	if len(name) > 1 && name[1] == ':' {
		return "", fmt.Errorf("entry name %q begins with a drive", name)
	}
	if strings.Contains(strings.TrimSuffix(name, "/"), "//") {
		return "", fmt.Errorf("entry name %q holds an empty folder name", name)
	}
	return cleanPath(name)
}
