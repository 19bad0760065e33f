package sbom

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

// FragmentFormat changes whenever a fragment would be made otherwise of the
// same layer; whoever keeps fragments keeps it with them.
const FragmentFormat = "1." + evidence.Format

// Fragment is what one layer adds to the documents of every image that has
// it. It is made once and kept.
type Fragment struct {
	// Owners are the purls and recipe entries that own something, sorted.
	Owners []string `json:"owners"`
	// Components is the software that files of the layer show.
	Components []evidence.Component `json:"components,omitempty"`
	// Licenses are those that copyright and licence files state, by path.
	Licenses map[string]Stated `json:"licenses,omitempty"`
	// Paths are the layer's entries, sorted; they are most of a fragment, and
	// encoded apart.
	Paths []Path `json:"-"`
}

// Path is one entry of a layer.
type Path struct {
	Path  string
	Type  rootfs.Type // a hard link is a regular file
	Owner int         // in Fragment.Owners
	Link  string      // target of a symbolic link
	// Of regular files: the identifier in documents, and the digests.
	ID     common.ElementID
	SHA1   string
	SHA256 recipes.Digest
}

// Stated is the licence that a file states.
type Stated struct {
	License  string            `json:"license"` // SPDX expression
	Texts    map[string]string `json:"texts,omitempty"`
	FreeForm bool              `json:"free,omitempty"`
}

// NewFragment makes the fragment of a layer from its entries and from what
// its files say.
func NewFragment(entries []rootfs.Entry, files []evidence.File) (*Fragment, error) {
	f := &Fragment{Components: evidence.Components(files), Licenses: map[string]Stated{}}
	byPath := make(map[string]rootfs.Entry, len(entries))
	owners := map[string]int{}
	for _, e := range entries {
		if e.Owner == "" {
			return nil, fmt.Errorf("%s has no owner", e.Path)
		}
		byPath[e.Path] = e
		owners[e.Owner] = 0
	}
	for owner := range owners {
		f.Owners = append(f.Owners, owner)
	}
	slices.Sort(f.Owners)
	for i, owner := range f.Owners {
		owners[owner] = i
	}
	for _, e := range entries {
		p := Path{Path: e.Path, Type: e.Type, Owner: owners[e.Owner], Link: e.Link}
		if e.Type == rootfs.Regular || e.Type == rootfs.Hardlink {
			content, err := contentOf(e, byPath)
			if err != nil {
				return nil, err
			}
			p.Type, p.Link, p.ID, p.SHA1, p.SHA256 = rootfs.Regular, "", fileID(e.Path), content.SHA1, content.SHA256
		}
		f.Paths = append(f.Paths, p)
	}
	slices.SortFunc(f.Paths, func(a, b Path) int { return cmp.Compare(a.Path, b.Path) })
	for _, file := range files {
		if s := (Stated{file.Facts.License, file.Facts.Texts, file.Facts.FreeForm}); s.License != "" && file.Facts.Jar == nil && len(file.Facts.Parts) == 0 {
			f.Licenses[file.Path] = s
		}
	}
	return f, nil
}

// contentOf follows a hard link to the entry of the layer that has the bytes.
func contentOf(e rootfs.Entry, entries map[string]rootfs.Entry) (rootfs.Entry, error) {
	for range 8 {
		if e.Type != rootfs.Hardlink {
			break
		}
		target, ok := entries[e.Link]
		if !ok {
			return e, fmt.Errorf("%s is a hard link to %s, which is not in the layer", e.Path, e.Link)
		}
		e = target
	}
	if e.Type != rootfs.Regular || e.SHA256 == "" || e.SHA1 == "" {
		return e, fmt.Errorf("%s: sha256 or sha1 is not known", e.Path)
	}
	return e, nil
}
