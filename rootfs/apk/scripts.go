package apk

import (
	"fmt"
	"slices"
	"strings"
)

// scriptNames are the maintainer scripts that apk knows.
var scriptNames = []string{
	".pre-install", ".post-install", ".pre-deinstall", ".post-deinstall",
	".pre-upgrade", ".post-upgrade", ".trigger",
}

func isScript(name string) bool { return slices.Contains(scriptNames, name) }

// ranAtInstall lists the scripts that apk would run for a new package. The
// others only matter on machines that upgrade or remove packages.
var ranAtInstall = []string{".pre-install", ".post-install", ".trigger"}

// replacement says, for every script met in a package of the recipes, what
// stands in its place here.
var replacement = map[string]string{
	"alpine-baselayout.pre-install":  "group shadow is in etc/group of alpine-baselayout-data",
	"alpine-baselayout.post-install": "etc/shadow has the owner and mode of the minirootfs; there is no openrc",
	"bash.post-install":              "generate: shells (etc/shells lists /bin/bash)",
	"busybox.post-install":           "generate: busybox-applets",
	"busybox.trigger":                "generate: busybox-applets; no kernel modules in an image",
	"ca-certificates.trigger":        "generate: ca-bundle",
	"fontconfig.trigger":             "font caches are made at first use, in the user's cache folder",
	"java-cacerts.trigger":           "generate: java-cacerts",
	"java-common.trigger":            "a link of the recipe (usr/lib/jvm/default-jvm)",
	"openrc.post-install":            "no init system runs in an image",
	"postgresql-common.pre-install":  "accounts of the recipe (postgres, 70:70)",
	"postgresql-common.trigger":      "generate: alternatives (usr/bin/psql and its like link to the one version)",
	"postgresql16.pre-install":       "accounts of the recipe (postgres, 70:70)",
	"shared-mime-info.trigger":       "no desktop programs run in an image",
}

// Replacement says what stands in the place of a script of a package, where
// one does.
func Replacement(name, script string) (string, bool) {
	if !slices.Contains(ranAtInstall, script) {
		return "runs only when a package is upgraded or removed", true
	}
	what, ok := replacement[name+script]
	return what, ok
}

// UnknownScriptError names the scripts of a package that nothing replaces.
type UnknownScriptError struct {
	Package string
	Scripts []string
}

// Error says where to enter them.
func (e *UnknownScriptError) Error() string {
	return fmt.Sprintf("package %s has maintainer scripts that nothing replaces yet: %s; scripts never run, so say in rootfs/apk/scripts.go what stands in their place",
		e.Package, strings.Join(e.Scripts, ", "))
}

// CheckScripts fails on a script that is not in the table of those that
// something replaces.
func CheckScripts(c *Contents) error {
	var unknown []string
	for _, s := range c.Scripts {
		if _, ok := Replacement(c.Package.Name, s.Name); !ok {
			unknown = append(unknown, s.Name)
		}
	}
	if unknown == nil {
		return nil
	}
	return &UnknownScriptError{c.Package.ID(), unknown}
}
