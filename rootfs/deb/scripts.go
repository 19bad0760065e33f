package deb

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// standIn says what takes the place of the maintainer scripts of a package.
// Package is a path.Match pattern, so that versions in names need no new row.
type standIn struct {
	Package string
	Scripts []string
	Instead string
}

// standIns is the table of every script met in the recipes' closures that
// does more than what debhelper's harmless snippets do. A script is put here
// only after it was read: what it makes in an empty root is made by a recipe
// or a generator, or is of no use in an image.
func standIns() []standIn {
	return []standIn{
		{"base-files", []string{"preinst", "postinst"}, "links of the merged /usr come from the recipe; generate: base-files writes the folders and files"},
		{"base-passwd", []string{"preinst", "postinst"}, "etc/passwd and etc/group are made of its masters and the recipe's accounts"},
		{"bash", []string{"postinst"}, "dash brings /bin/sh; there are no manual pages and menus"},
		{"ca-certificates", []string{"config", "postinst"}, "generate: ca-bundle"},
		{"dash", []string{"preinst", "postinst"}, "it moves old diversions of /bin/sh, of which an image has none"},
		{"debianutils", []string{"postinst"}, "generate: shells and alternatives (which)"},
		{"gzip", []string{"preinst", "postinst"}, "it moves diversions of zutils, of which an image has none"},
		{"libc-bin", []string{"postinst"}, "generate: nsswitch; the loader knows its folders without a cache"},
		{"libc6", []string{"preinst", "postinst"}, "it restarts services and checks the kernel on upgrades"},
		{"libgcrypt20", []string{"postinst"}, "it clears up after upgrades"},
		{"libgssapi-krb5-2", []string{"postinst"}, "it moves a file on upgrades"},
		{"libpam0g", []string{"config", "postinst"}, "it restarts services on upgrades"},
		{"libpython3.*-minimal", []string{"postinst"}, "an empty sitecustomize.py, without which Python starts as well"},
		{"libreadline8t64", []string{"preinst"}, "it diverts files of older releases, of which an image has none"},
		{"libselinux1", []string{"postinst"}, "SELinux's folder in /run belongs to the host"},
		{"locales-all", []string{"postinst"}, "it takes away locale-archive, which an image has none of"},
		{"mawk", []string{"postinst"}, "generate: alternatives (awk, nawk)"},
		{"netbase", []string{"postinst"}, "the container's runtime writes /etc/hosts; names of networks are not used"},
		{"openjdk-*-jre-headless", []string{"postinst"}, "PATH and JAVA_HOME name the one Java; generate: java-cacerts; no system preferences are kept"},
		{"openssl", []string{"postinst"}, "the package brings the folder that it looks for"},
		{"patroni", []string{"postinst"}, "no init system starts it; its folders are in the recipe"},
		{"postgresql-[0-9]*", []string{"preinst", "postinst"}, "no cluster is made in an image; PATH names the programs"},
		{"postgresql-client-[0-9]*", []string{"postinst"}, "PATH names the programs"},
		{"procps", []string{"postinst"}, "the kernel's settings belong to the host"},
		{"python3", []string{"preinst", "postinst"}, "nothing is compiled to byte code: its time stamps would not be reproducible"},
		{"python3-minimal", []string{"postinst"}, "nothing is compiled to byte code"},
		{"python3.*-minimal", []string{"preinst", "postinst"}, "nothing is compiled to byte code"},
		{"python3.*", []string{"postinst"}, "nothing is compiled to byte code"},
		{"readline-common", []string{"postinst"}, "generate: base-files copies its inputrc"},
		{"tar", []string{"postinst"}, "generate: alternatives (rmt)"},
		{"tzdata", []string{"config", "postinst"}, "generate: timezone"},
		{"xz-utils", []string{"postinst"}, "generate: alternatives (lzma and its kin)"},
	}
}

// harmless are the debhelper programs whose snippets do nothing that an image
// wants: services, byte code, menus, questions, clearing up after upgrades.
func harmless() []string {
	return []string{
		"dh_python3", "dh_installinit", "dh_installdeb", "dh_installmenu", "dh_systemd_enable", "dh_systemd_start",
		"dh_installsystemd", "dh_installsystemduser", "dh_installdebconf", "dh_makeshlibs", "dh_installmime", "dh_icons",
	}
}

// activations are the triggers that a package may set off, all of which have
// their stand-in: the loader needs no cache.
func activations() []string { return []string{"ldconfig"} }

// CheckScripts says whether something stands in for every maintainer script
// of a package. prerm and postrm do not count: nothing is ever removed.
func CheckScripts(c *Contents) error {
	for _, name := range []string{"config", "preinst", "postinst"} {
		if text, ok := c.Scripts[name]; ok && !idle(text) && !listed(c.Name, name) {
			return fmt.Errorf("its %s script has nothing that stands in for it: read it (dpkg-deb --ctrl-tarfile), declare in the recipe what it makes, "+
				"and add a row to standIns in rootfs/deb/scripts.go; or exclude the package", name)
		}
	}
	for line := range strings.Lines(c.Triggers) {
		f := strings.Fields(line)
		if len(f) == 2 && strings.HasPrefix(f[0], "activate") && !slices.Contains(activations(), f[1]) {
			return fmt.Errorf("it sets off the trigger %s, which nothing stands in for: see which package answers it, declare in the recipe what that makes, "+
				"and add it to activations in rootfs/deb/scripts.go", f[1])
		}
	}
	return nil
}

// StandIn says what takes the place of a package's script; ok is false where
// the table does not name it.
func StandIn(pkg, script string) (instead string, ok bool) {
	for _, s := range standIns() {
		if match, _ := path.Match(s.Package, pkg); match && slices.Contains(s.Scripts, script) {
			return s.Instead, true
		}
	}
	return "", false
}

func listed(pkg, script string) bool {
	_, ok := StandIn(pkg, script)
	return ok
}

// idle says whether a shell script does nothing once debhelper's harmless
// snippets are taken out.
func idle(script string) bool {
	rest := snippet.Regexp().ReplaceAllStringFunc(script, func(s string) string {
		tool := snippet.FindStringSubmatch(s)[1]
		tool, _, _ = strings.Cut(tool, "/")
		if slices.Contains(harmless(), tool) {
			return ""
		}
		return s
	})
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && !slices.Contains([]string{"set -e", "set -eu", "exit 0", ":"}, line) {
			return false
		}
	}
	return true
}

// snippet is a part of a script that a debhelper program put in.
var snippet = recipes.NewPattern(`(?s)# Automatically added by (\S+)\n.*?# End automatically added section\n?`)
