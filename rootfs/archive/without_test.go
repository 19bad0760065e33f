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

// Locales share files through links: what is kept keeps what it links to, link
// by link and folder by folder, and the rest is told of as one.
func TestWithoutKeepsWhatLinksLeadTo(t *testing.T) {
	entries := []rootfs.Entry{
		{Path: "l", Type: rootfs.Directory, Mode: 0o755},
		{Path: "l/a", Type: rootfs.Directory, Mode: 0o700},
		{Path: "l/a/collate", Type: rootfs.Regular, Mode: 0o644, Size: 5},
		{Path: "l/a/other", Type: rootfs.Regular, Mode: 0o644, Size: 7},
		{Path: "l/b", Type: rootfs.Directory},
		{Path: "l/b/collate", Type: rootfs.Symlink, Link: "../a/collate"},
		{Path: "l/c", Type: rootfs.Directory},
		{Path: "l/c/time", Type: rootfs.Regular, Size: 11},
		{Path: "l/en", Type: rootfs.Directory},
		{Path: "l/en/collate", Type: rootfs.Symlink, Link: "../b/collate"},
		{Path: "l/en/messages", Type: rootfs.Symlink, Link: "/l/m"},
		{Path: "l/en/outside", Type: rootfs.Symlink, Link: "../../../elsewhere"},
		{Path: "l/en/round", Type: rootfs.Symlink, Link: "round"},
		{Path: "l/m", Type: rootfs.Directory},
		{Path: "l/m/deep/sys", Type: rootfs.Regular},
		{Path: "man/x", Type: rootfs.Regular, Size: 13},
	}
	kept, dropped, err := Without(entries, []recipes.Drop{{Pattern: "l/**", Keep: []string{"l/en/**"}, Reason: "no other"}, {Pattern: "man/**", Reason: "no man"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"l", "l/a", "l/a/collate", "l/b", "l/b/collate", "l/en", "l/en/collate", "l/en/messages", "l/en/outside", "l/en/round", "l/m", "l/m/deep/sys"}
	var got []string
	for _, e := range kept {
		got = append(got, e.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	if kept[1].Mode != 0o700 {
		t.Errorf("the folder of a kept file has mode %o", kept[1].Mode)
	}
	wantDropped := []Dropped{{Path: "l/** but for l/en/**", Reason: "no other", Size: 18}, {Path: "man/x", Reason: "no man", Size: 13}}
	if !slices.Equal(dropped, wantDropped) {
		t.Errorf("dropped %+v, want %+v", dropped, wantDropped)
	}
}
