package apk

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// info is a package's .PKGINFO: what the index has, and what only the
// package itself says.
type info struct {
	Package
	// dataHash is the SHA-256 of the data segment.
	dataHash string
	triggers []string
}

// parseInfo reads "key = value" lines; those that begin with # are comments.
func parseInfo(text string) (*info, error) {
	var i info
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, " = ")
		if !ok {
			if key, ok = strings.CutSuffix(line, " ="); !ok {
				return nil, fmt.Errorf(".PKGINFO line %d: want key = value, found %q", number, cut(line))
			}
		}
		if err := i.set(key, value); err != nil {
			return nil, fmt.Errorf(".PKGINFO line %d: %s: %w", number, key, err)
		}
	}
	if raw, err := hex.DecodeString(i.dataHash); err != nil || len(raw) != 32 {
		if i.dataHash == "" {
			return nil, fmt.Errorf(".PKGINFO has no datahash: the data of this package cannot be checked")
		}
		return nil, fmt.Errorf(".PKGINFO: %q is no SHA-256", cut(i.dataHash))
	}
	return &i, nil
}

func (i *info) set(key, value string) error {
	var err error
	switch key {
	case "pkgname":
		i.Name = value
	case "pkgver":
		i.Version = value
	case "pkgdesc":
		i.Description = value
	case "url":
		i.URL = value
	case "arch":
		i.Arch = value
	case "origin":
		i.Origin = value
	case "commit":
		i.Commit = value
	case "maintainer":
		i.Maintainer = value
	case "license":
		i.License = value
	case "builddate":
		var seconds int64
		seconds, err = parseCount(value)
		i.BuildTime = time.Unix(seconds, 0).UTC()
	case "size":
		i.InstalledSize, err = parseCount(value)
	case "provider_priority":
		i.ProviderPriority, err = parsePriority(value)
	case "replaces_priority":
		i.ReplacesPriority, err = parsePriority(value)
	case "depend":
		err = appendDependencies(&i.Depends, value)
	case "provides":
		err = appendDependencies(&i.Provides, value)
	case "install_if":
		err = appendDependencies(&i.InstallIf, value)
	case "replaces":
		err = appendDependencies(&i.Replaces, value)
	case "triggers":
		i.triggers = append(i.triggers, strings.Fields(value)...)
	case "datahash":
		i.dataHash = value
	}
	return err
}

func appendDependencies(list *[]Dependency, value string) error {
	more, err := parseDependencies(value)
	*list = append(*list, more...)
	return err
}
