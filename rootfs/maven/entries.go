package maven

import (
	"context"
	"errors"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Entries lays out an artefact that is in the store: one file, or with
// Extract the entries of the archive that it is. Jars lose the native
// libraries of platforms other than p.
func Entries(ctx context.Context, s *fetch.Store, a recipes.Artifact, src recipes.MavenSource, p recipes.Platform) ([]rootfs.Entry, []archive.Dropped, error) {
	c, err := Parse(src.Coordinate)
	if err != nil {
		return nil, nil, err
	}
	o := archive.Options{Name: c.File(), Placement: src.Placement, Platform: p}
	var (
		entries []rootfs.Entry
		dropped []archive.Dropped
	)
	if src.Extract || src.Inner != "" {
		if src.Rename != "" {
			return nil, nil, errors.New("rename is for an artefact that is not extracted")
		}
		entries, dropped, err = archive.Lay(ctx, s, a.SHA256, o)
	} else {
		name := c.File()
		if src.Rename != "" {
			name = src.Rename
		}
		var e rootfs.Entry
		if e, err = archive.File(ctx, s, a.SHA256, name); err == nil {
			entries, dropped, err = archive.LayEntries(ctx, s, []rootfs.Entry{e}, o)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range entries {
		entries[i].Owner = a.PURL
	}
	return entries, dropped, nil
}
