package trial

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/layers/contract/unpack"
)

// look holds what the layers hold to the contract, before anything is
// started.
func (t *trial) look() {
	if t.image.Budget > 0 {
		found := ""
		if size := t.image.Size(); size > t.image.Budget {
			found = fmt.Sprintf("%.1f MB of compressed layers, over its budget of %.1f MB", float64(size)/1e6, float64(t.image.Budget)/1e6)
		}
		t.check(fmt.Sprintf("weighs at most %.0f MB", float64(t.image.Budget)/1e6), found)
	}
	found := ""
	if t.image.Config.User != t.contract.User {
		found = fmt.Sprintf("its configuration says user %q", t.image.Config.User)
	}
	t.check("is to run as "+t.contract.User, found)
	if t.contract.Healthy > 0 {
		found = ""
		if len(t.image.health()) == 0 {
			found = "its configuration has no health check"
		}
		t.check("says how its health is seen", found)
	}
	t.check("has no setuid or setgid program and no file capability", list(t.image.tree, privileged))
	t.check("has no device, pipe or socket", list(t.image.tree, special))
	t.check("has no cache of a package manager", list(t.image.tree, cached))
	t.check("lets nobody write but where it says so", t.open())
}

// list names the entries that are wrong.
func list(tree unpack.Tree, wrong func(name string, e unpack.Entry) bool) string {
	var names []string
	for name, e := range tree {
		if wrong(name, e) {
			names = append(names, "/"+name)
		}
	}
	slices.Sort(names)
	if len(names) > 10 {
		names = append(names[:10], fmt.Sprintf("and %d more", len(names)-10))
	}
	return strings.Join(names, ", ")
}

func privileged(_ string, e unpack.Entry) bool {
	return e.Type == tar.TypeReg && (e.Mode&0o6000 != 0 || e.Capabilities)
}

func special(_ string, e unpack.Entry) bool {
	return e.Type == tar.TypeChar || e.Type == tar.TypeBlock || e.Type == tar.TypeFifo
}

// caches are folders that package managers fill and nobody needs in an image.
func caches() []string {
	return []string{"var/cache/apt/", "var/lib/apt/lists/", "var/cache/debconf/", "var/cache/apk/", "etc/apk/cache/", "root/.cache/", "root/.npm/", "root/.m2/"}
}

func cached(name string, e unpack.Entry) bool {
	if e.Type != tar.TypeReg {
		return false
	}
	return strings.Contains("/"+name, "/.cache/") || slices.ContainsFunc(caches(), func(dir string) bool { return strings.HasPrefix(name, dir) })
}

// open says what is wrong with the world-writable paths: the temporary folders
// may be, and what the contract names must be; nobody takes another's files
// away, which is the sticky bit.
func (t *trial) open() string {
	allowed := map[string]bool{"tmp": true, "var/tmp": true}
	var wrong []string
	for _, stated := range t.contract.Writable {
		name := strings.TrimPrefix(stated, "/")
		allowed[name] = true
		if e, ok := t.image.tree[name]; !ok || e.Type != tar.TypeDir || e.Mode&0o002 == 0 {
			wrong = append(wrong, stated+" is stated and is no world-writable folder")
		}
	}
	found := list(t.image.tree, func(name string, e unpack.Entry) bool {
		if e.Type == tar.TypeSymlink || e.Mode&0o002 == 0 {
			return false
		}
		return !allowed[name] || e.Type != tar.TypeDir || e.Mode&0o1000 == 0
	})
	if found != "" {
		wrong = append(wrong, found)
	}
	return strings.Join(wrong, "; ")
}
