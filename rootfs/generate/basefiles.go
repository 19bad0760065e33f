package generate

import (
	"context"
	"fmt"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// baseFiles makes what the scripts of Debian's base-files and readline-common
// make in an empty root: the defaults that they copy to /etc and /root, the
// folders of the file system hierarchy, and their links. Files that keep
// track of logins are left out: nobody logs in.
func baseFiles(ctx context.Context, in Input) ([]rootfs.Entry, error) {
	if _, ok := in.View.Lookup("usr/share/base-files/profile"); !ok {
		return nil, fmt.Errorf("no usr/share/base-files/profile: the layer wants the package base-files")
	}
	var out []rootfs.Entry
	for _, f := range []struct{ from, to string }{
		{"usr/share/base-files/profile", "etc/profile"},
		{"usr/share/base-files/motd", "etc/motd"},
		{"usr/share/base-files/dot.profile", "root/.profile"},
		{"usr/share/base-files/dot.bashrc", "root/.bashrc"},
		{"usr/share/readline/inputrc", "etc/inputrc"},
	} {
		if in.has(f.to) || !in.has(f.from) {
			continue
		}
		data, err := in.Read(ctx, f.from)
		if err != nil {
			return nil, err
		}
		out = append(out, in.File(f.to, 0o644, data))
	}
	for _, dir := range strings.Fields("etc/opt media mnt opt srv var/mail var/opt usr/local/bin usr/local/etc usr/local/games " +
		"usr/local/include usr/local/lib usr/local/libexec usr/local/sbin usr/local/share usr/local/share/man usr/local/src") {
		if !in.has(dir) {
			out = append(out, rootfs.Entry{Path: dir, Type: rootfs.Directory, Mode: 0o755, Owner: in.Owner, State: true})
		}
	}
	for _, l := range []struct{ path, target string }{
		{"etc/dpkg/origins/default", "debian"},
		{"usr/local/man", "share/man"},
		{"var/spool/mail", "../mail"},
	} {
		if !in.has(l.path) {
			out = append(out, in.Link(l.path, l.target))
		}
	}
	return out, nil
}

// has says whether the view holds a path.
func (in Input) has(path string) bool {
	_, ok := in.View.Lookup(path)
	return ok
}
