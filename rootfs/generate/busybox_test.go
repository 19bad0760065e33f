package generate

import (
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/rootfs"
)

// TestBusyboxApplets links what busybox lists, and leaves a package's own
// program alone, also where its folder is a link.
func TestBusyboxApplets(t *testing.T) {
	in := view(t, nil)
	for _, e := range []rootfs.Entry{
		rootfs.NewFile("usr/bin/busybox", 0o755, []byte("program")),
		rootfs.NewFile("usr/bin/wget", 0o755, []byte("GNU")),
		{Path: "bin", Type: rootfs.Symlink, Mode: 0o777, Link: "usr/bin"},
		rootfs.NewFile("etc/busybox-paths.d/busybox", 0o644, []byte("bin/ls\nbin/wget\nusr/sbin/chroot\n")),
	} {
		e.Owner = "pkg:apk/alpine/x@1?arch=x86_64"
		if err := in.View.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := busyboxApplets(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !e.State || e.Owner != in.Owner {
			t.Errorf("%s: state %t, owner %q", e.Path, e.State, e.Owner)
		}
		got = append(got, e.Path+"->"+e.Link)
	}
	if s := strings.Join(got, " "); s != "bin/ls->/bin/busybox usr/sbin/chroot->/bin/busybox" {
		t.Errorf("links %s", s)
	}
	if _, err := busyboxApplets(t.Context(), view(t, map[string]string{"etc/x": "y"})); err == nil {
		t.Error("no list of applets was no error")
	}
}
