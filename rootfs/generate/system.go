package generate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// alternatives links the names that update-alternatives would link, straight
// to the program that is there: nobody chooses another in an image.
func alternatives(_ context.Context, in Input) ([]rootfs.Entry, error) {
	var out []rootfs.Entry
	for _, a := range []struct {
		link    string
		targets []string // below the link's folder, the best first
	}{
		{"usr/bin/awk", []string{"gawk", "mawk"}},
		{"usr/bin/nawk", []string{"gawk", "mawk"}},
		{"usr/bin/which", []string{"which.debianutils"}},
		{"usr/sbin/rmt", []string{"rmt-tar"}},
		{"usr/bin/lzma", []string{"xz"}},
		{"usr/bin/unlzma", []string{"unxz"}},
		{"usr/bin/lzcat", []string{"xzcat"}},
		{"usr/bin/lzmore", []string{"xzmore"}},
		{"usr/bin/lzless", []string{"xzless"}},
		{"usr/bin/lzdiff", []string{"xzdiff"}},
		{"usr/bin/lzcmp", []string{"xzcmp"}},
		{"usr/bin/lzgrep", []string{"xzgrep"}},
		{"usr/bin/lzegrep", []string{"xzegrep"}},
		{"usr/bin/lzfgrep", []string{"xzfgrep"}},
	} {
		if e, ok := in.View.Lookup(a.link); ok && strings.HasPrefix(e.Owner, "pkg:") {
			continue
		}
		dir := a.link[:strings.LastIndex(a.link, "/")+1]
		i := slices.IndexFunc(a.targets, func(t string) bool { _, ok := in.View.Lookup(dir + t); return ok })
		if i >= 0 {
			out = append(out, in.Link(a.link, a.targets[i]))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("none of the programs is there that alternatives choose from")
	}
	return out, nil
}

// shells writes etc/shells (shells(5)): what the view has there, and every
// shell that is in it.
func shells(ctx context.Context, in Input) ([]rootfs.Entry, error) {
	old, err := in.first(ctx, "etc/shells")
	if err != nil {
		return nil, err
	}
	lines := strings.FieldsFunc(string(old), func(r rune) bool { return r == '\n' })
	if len(lines) == 0 {
		lines = []string{"# /etc/shells: valid login shells"}
	}
	for _, name := range []string{"sh", "bash", "rbash", "dash", "ash"} {
		for _, dir := range []string{"/bin/", "/usr/bin/"} {
			if _, ok := in.View.Follow(dir + name); ok && !slices.Contains(lines, dir+name) {
				lines = append(lines, dir+name)
			}
		}
	}
	return []rootfs.Entry{in.File("etc/shells", 0o644, []byte(strings.Join(lines, "\n")+"\n"))}, nil
}

// nsswitch copies the name service switch of Debian's libc-bin, whose script
// would have copied it.
func nsswitch(ctx context.Context, in Input) ([]rootfs.Entry, error) {
	if _, ok := in.View.Lookup("etc/nsswitch.conf"); ok {
		return nil, nil
	}
	data, err := in.Read(ctx, "usr/share/libc-bin/nsswitch.conf")
	if err != nil {
		return nil, err
	}
	return []rootfs.Entry{in.File("etc/nsswitch.conf", 0o644, data)}, nil
}

// timezone sets UTC, and names it where Debian looks for the name.
func timezone(_ context.Context, in Input) ([]rootfs.Entry, error) {
	const zone = "Etc/UTC"
	if _, ok := in.View.Follow("usr/share/zoneinfo/" + zone); !ok {
		return nil, fmt.Errorf("no time zone %s: the layer wants the package tzdata", zone)
	}
	out := []rootfs.Entry{in.Link("etc/localtime", "/usr/share/zoneinfo/"+zone)}
	if in.Image.Distro == recipes.Debian {
		out = append(out, in.File("etc/timezone", 0o644, []byte(zone+"\n")))
	}
	return out, nil
}
