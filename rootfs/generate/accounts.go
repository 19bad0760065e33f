package generate

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// Accounts writes etc/passwd and etc/group, as passwd(5) and group(5) have
// them: what the view holds, or on Debian base-passwd's masters, with the
// image's own accounts appended. No shadow file is written: every password
// field says that there is none to log in with.
func Accounts(ctx context.Context, in Input) ([]rootfs.Entry, error) {
	passwd, err := in.first(ctx, "etc/passwd", "usr/share/base-passwd/passwd.master")
	if err != nil {
		return nil, err
	}
	group, err := in.first(ctx, "etc/group", "usr/share/base-passwd/group.master")
	if err != nil {
		return nil, err
	}
	users, groups := parseDB(passwd), parseDB(group)
	for _, a := range in.Accounts {
		if users, groups, err = addAccount(users, groups, a); err != nil {
			return nil, fmt.Errorf("%s: account %s: %w", in.Image.Ref, a.Name, err)
		}
	}
	var out []rootfs.Entry
	for path, lines := range map[string][][]string{"etc/passwd": users, "etc/group": groups} {
		out = append(out, in.File(path, 0o644, formatDB(lines)))
	}
	slices.SortFunc(out, func(a, b rootfs.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// first reads the first path that the view has; none is an empty file.
func (in Input) first(ctx context.Context, paths ...string) ([]byte, error) {
	for _, p := range paths {
		if _, ok := in.View.Follow(p); ok {
			return in.Read(ctx, p)
		}
	}
	return nil, nil
}

// addAccount appends a user and the group of its name. An entry of the same
// name gives way where it has the same id; another id is an error, since
// files of the parent may belong to it.
func addAccount(users, groups [][]string, a recipes.Account) (u, g [][]string, err error) {
	home, shell := a.Home, a.Shell
	if home == "" {
		home = "/nonexistent"
	}
	if shell == "" {
		shell = "/sbin/nologin"
	}
	uid, gid := strconv.Itoa(a.UID), strconv.Itoa(a.GID)
	if users, err = put(users, []string{a.Name, "x", uid, gid, a.Comment, home, shell}); err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(groups, func(f []string) bool { return len(f) > 2 && f[2] == gid }); i < 0 {
		if groups, err = put(groups, []string{a.Name, "x", gid, ""}); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range a.Supplementary {
		i := slices.IndexFunc(groups, func(f []string) bool { return f[0] == name })
		if i < 0 || len(groups[i]) < 4 {
			return nil, nil, fmt.Errorf("no group %q to be a member of", name)
		}
		members := strings.FieldsFunc(groups[i][3], func(r rune) bool { return r == ',' })
		if !slices.Contains(members, a.Name) {
			groups[i][3] = strings.Join(append(members, a.Name), ",")
		}
	}
	return users, groups, nil
}

// put replaces the line of the same name and id, or appends a new one.
func put(lines [][]string, line []string) ([][]string, error) {
	for i, l := range lines {
		switch {
		case l[0] == line[0] && l[2] == line[2]:
			lines[i] = line
			return lines, nil
		case l[0] == line[0]:
			return nil, fmt.Errorf("the parent has %q with id %s, not %s", l[0], l[2], line[2])
		case l[2] == line[2]:
			return nil, fmt.Errorf("id %s belongs to %q already", line[2], l[0])
		}
	}
	return append(lines, line), nil
}

// parseDB splits a colon-separated database; lines that are not entries go.
func parseDB(data []byte) [][]string {
	var lines [][]string
	for _, l := range strings.Split(string(data), "\n") {
		if f := strings.Split(l, ":"); len(f) >= 3 && f[0] != "" {
			// The masters leave the password field as "*": nobody logs in.
			lines = append(lines, f)
		}
	}
	return lines
}

func formatDB(lines [][]string) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(strings.Join(l, ":"))
		b.WriteByte('\n')
	}
	return b.Bytes()
}
