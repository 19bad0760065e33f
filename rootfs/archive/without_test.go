package archive

import (
	"slices"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// A package's /tmp stays 1777 and a log folder its group's, whatever else of
// the package is dropped.
func TestWithoutKeepsOwnersAndModes(t *testing.T) {
	entries := []rootfs.Entry{
		{Path: "tmp", Type: rootfs.Directory, Mode: 0o1777},
		{Path: "usr/share/man/man1/a.1.gz", Type: rootfs.Regular, Mode: 0o644},
		{Path: "var/log/app", Type: rootfs.Directory, Mode: 0o2775, UID: 7, GID: 8},
		{Path: "var/log/app/log", Type: rootfs.Regular, Mode: 0o664, UID: 7, GID: 8},
		{Path: "var/log/app/same", Type: rootfs.Hardlink, Link: "usr/share/man/man1/a.1.gz"},
	}
	kept, dropped, err := Without(entries, []recipes.Drop{{Pattern: "usr/share/man/**", Reason: "no man"}})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(entries)
	want = slices.Delete(want, 1, 2)
	want[3] = rootfs.Entry{Path: "var/log/app/same", Type: rootfs.Regular, Mode: 0o644}
	if len(kept) != len(want) {
		t.Fatalf("kept %d entries, want %d", len(kept), len(want))
	}
	for i := range want {
		if k, w := kept[i], want[i]; k.Path != w.Path || k.Type != w.Type || k.Mode != w.Mode || k.UID != w.UID || k.GID != w.GID || k.Link != w.Link {
			t.Errorf("kept %+v, want %+v", k, w)
		}
	}
	if len(dropped) != 1 || dropped[0].Reason != "no man" {
		t.Errorf("dropped %+v", dropped)
	}
}
