package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/shudl/shudl-assemble/rootfs"
)

// owned is what one owner has in the image.
type owned struct {
	files []*spdx.File
	// links and directories are counted, not listed: SPDX knows only files.
	links, directories int
	inherited          bool
}

// located is an entry as the image shows it, and whether the parent has it.
type located struct {
	entry     rootfs.Entry
	inherited bool
}

// merge lays the layers over each other: a path belongs to the last layer
// that has it.
func merge(layers []Layer) map[string]located {
	n := 0
	for _, l := range layers {
		n += len(l.Entries)
	}
	view := make(map[string]located, n)
	for _, l := range layers {
		for _, e := range l.Entries {
			old, ok := view[e.Path]
			if ok && e.Type == rootfs.Directory && old.entry.Type == rootfs.Directory {
				continue // repeated parents of a later layer own nothing
			}
			view[e.Path] = located{e, l.Inherited}
		}
	}
	return view
}

// byOwner makes the files of each owner.
func byOwner(layers []Layer) (map[string]*owned, error) {
	view := merge(layers)
	paths := make([]string, 0, len(view))
	for path := range view {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	owners := map[string]*owned{}
	for _, path := range paths {
		l := view[path]
		if l.entry.Owner == "" {
			return nil, fmt.Errorf("%s has no owner", path)
		}
		o, ok := owners[l.entry.Owner]
		if !ok {
			o = &owned{inherited: true}
			owners[l.entry.Owner] = o
		}
		o.inherited = o.inherited && l.inherited
		switch l.entry.Type {
		case rootfs.Directory:
			o.directories++
		case rootfs.Symlink:
			o.links++
		default:
			content, err := contentOf(l.entry, view)
			if err != nil {
				return nil, err
			}
			o.files = append(o.files, newFile(path, content))
		}
	}
	return owners, nil
}

// contentOf follows a hard link to the entry that has the bytes.
func contentOf(e rootfs.Entry, view map[string]located) (rootfs.Entry, error) {
	for range 8 {
		if e.Type != rootfs.Hardlink {
			break
		}
		target, ok := view[strings.TrimPrefix(e.Link, "/")]
		if !ok {
			return e, fmt.Errorf("%s is a hard link to %s, which is not in the image", e.Path, e.Link)
		}
		e = target.entry
	}
	if e.Type != rootfs.Regular || e.SHA256 == "" || e.SHA1 == "" {
		return e, fmt.Errorf("%s: sha256 or sha1 is not known", e.Path)
	}
	return e, nil
}

func newFile(path string, content rootfs.Entry) *spdx.File {
	return &spdx.File{
		FileName:           "./" + path,
		FileSPDXIdentifier: common.ElementID("File-" + fingerprint(path)),
		Checksums: []common.Checksum{
			{Algorithm: common.SHA1, Value: content.SHA1},
			{Algorithm: common.SHA256, Value: string(content.SHA256)},
		},
		LicenseConcluded:   noAssertion,
		LicenseInfoInFiles: []string{noAssertion},
		FileCopyrightText:  noAssertion,
	}
}

// fingerprint is a short name for a string, in characters that SPDX
// identifiers may have.
func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}
