package recipes

import (
	"slices"
	"strings"
)

// layerKeys are the keys of a layer beside its filters.
var layerKeys = []string{"name", "packages", "exclude", "drop", "tarballs", "maven", "pypi", "go",
	"files", "accounts", "directories", "links", "generate"}

// Generators lists what a layer may have generated, each in place of what
// maintainer scripts would have made.
func Generators() []string {
	return []string{"base-files", "ca-bundle", "java-cacerts", "busybox-applets", "alternatives", "shells", "nsswitch", "timezone"}
}

// layers reads the layers that this distro and platform have.
func (s scope) layers(v *value, key string, folder *folder) []Layer {
	var out []Layer
	for _, one := range s.items(v, key) {
		r, ok := s.listed(one, layerKeys...)
		if !ok {
			continue
		}
		layer := r.layer(folder)
		switch {
		case layer.Name == "state":
			r.fault("name", "the name state is taken: it is the last layer of every image")
		case slices.ContainsFunc(out, func(l Layer) bool { return l.Name == layer.Name }):
			r.fault("name", "two layers are named %q", layer.Name)
		}
		out = append(out, layer)
	}
	return out
}

func (r record) layer(folder *folder) Layer {
	layer := Layer{Name: r.must("name"), Pos: r.v.pos}
	r.match("name", layer.Name, layerName, "layer name")
	layer.Packages = r.packages()
	layer.Excludes = r.excludes()
	layer.Drop = r.drops("keep")
	if len(layer.Drop) > 0 && len(layer.Packages) == 0 {
		r.fault("drop", "drops from packages, but the layer has none: a source's own drop stands in the source")
	}
	layer.Tarballs = r.tarballs()
	layer.Maven = r.maven()
	layer.PyPI = r.pypi()
	if len(layer.Excludes) > 0 && len(layer.Packages) == 0 && len(layer.PyPI) == 0 {
		r.fault("exclude", "excludes packages, but the layer has none")
	}
	layer.Go = r.goPrograms(folder)
	layer.Files = r.files(folder)
	layer.Accounts = r.accounts()
	layer.Directories = r.directories()
	layer.Links = r.links()
	layer.Generate = r.generate()
	return layer
}

// packages reads names, name=version, or mappings with a name and filters.
func (r record) packages() []Package {
	var out []Package
	for _, one := range r.items("packages") {
		name, pos := "", one.value.pos
		if one.value.shape == mapping {
			inner, ok := r.listed(one, "name")
			if !ok {
				continue
			}
			name = inner.must("name")
		} else {
			name = r.scope.text(one.value, one.key)
		}
		switch bare, _, _ := strings.Cut(name, "="); {
		case name == "":
			continue
		case !packageWants.MatchString(name):
			r.add(pos, one.key, "bad package %q: want a name or name=version", name)
		case slices.ContainsFunc(out, func(p Package) bool { return cutName(p.Name) == bare }):
			r.add(pos, one.key, "package %s is named twice in this layer", bare)
		}
		out = append(out, Package{Name: name, Pos: pos})
	}
	return out
}

func cutName(wanted string) string {
	name, _, _ := strings.Cut(wanted, "=")
	return name
}

// excludes reads package names with a reason each.
func (r record) excludes() []Exclude {
	var out []Exclude
	for _, p := range r.pairs("exclude") {
		if !packageName.MatchString(p.name) {
			r.add(p.pos, p.key, "bad package %q", p.name)
		}
		reason := r.scope.text(p.value, p.key)
		if strings.TrimSpace(reason) == "" {
			r.add(p.pos, p.key, "missing reason: write name: reason")
		}
		out = append(out, Exclude{Name: p.name, Reason: reason, Pos: p.pos})
	}
	slices.SortFunc(out, func(a, b Exclude) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// drops reads patterns with a reason each, and what more they may say.
func (r record) drops(more ...string) []Drop {
	var out []Drop
	for _, one := range r.items("drop") {
		inner, ok := r.listed(one, append([]string{"path", "reason"}, more...)...)
		if !ok {
			continue
		}
		d := Drop{Pattern: inner.must("path"), Keep: inner.texts("keep"), Reason: inner.must("reason"), Pos: inner.v.pos}
		if d.Pattern != "" {
			if err := checkGlob(d.Pattern); err != nil {
				inner.fault("path", "%v", err)
			}
		}
		for _, keep := range d.Keep {
			if err := checkGlob(keep); err != nil {
				inner.fault("keep", "%v", err)
			}
		}
		if slices.ContainsFunc(out, func(o Drop) bool { return o.Pattern == d.Pattern }) {
			inner.fault("path", "pattern %q stands twice", d.Pattern)
		}
		out = append(out, d)
	}
	return out
}

func (r record) accounts() []Account {
	var out []Account
	for _, one := range r.items("accounts") {
		inner, ok := r.listed(one, "name", "uid", "gid", "home", "shell", "comment", "groups")
		if !ok {
			continue
		}
		inner.must("uid")
		a := Account{Name: inner.must("name"), UID: inner.number("uid"), GID: inner.number("uid"),
			Home: inner.text("home"), Shell: inner.text("shell"), Comment: inner.text("comment"),
			Supplementary: inner.texts("groups"), Pos: inner.v.pos}
		if inner.has("gid") {
			a.GID = inner.number("gid")
		}
		inner.match("name", a.Name, accountName, "account name")
		inner.absolute("home", a.Home)
		inner.absolute("shell", a.Shell)
		if strings.ContainsAny(a.Comment, ":\n\r") {
			inner.fault("comment", "a comment in passwd has no colon and no line break")
		}
		for _, group := range a.Supplementary {
			if !accountName.MatchString(group) {
				inner.fault("groups", "bad group name %q", group)
			}
		}
		out = append(out, a)
	}
	return out
}

// absolute holds a path of the running container to its form.
func (r record) absolute(name, text string) {
	if text == "" || text == "/" {
		return
	}
	if !strings.HasPrefix(text, "/") {
		r.fault(name, "path %q must begin with a slash", text)
	} else if err := CheckPath(text[1:]); err != nil {
		r.fault(name, "%v", err)
	} else if strings.Contains(text, ":") {
		r.fault(name, "path %q has a colon", text)
	}
}

func (r record) directories() []Directory {
	var out []Directory
	for _, one := range r.items("directories") {
		inner, ok := r.listed(one, "path", "owner", "mode")
		if !ok {
			continue
		}
		d := Directory{Path: inner.imagePath("path"), Mode: 0o755, Pos: inner.v.pos}
		d.UID, d.GID = inner.owner()
		if inner.has("mode") {
			d.Mode = parsed(inner, "mode", parseMode)
		}
		out = append(out, d)
	}
	return out
}

// owner reads uid:gid; root where the key is absent.
func (r record) owner() (uid, gid int) {
	ids := parsed(r, "owner", func(text string) ([2]int, error) {
		uid, gid, err := parseOwner(text)
		return [2]int{uid, gid}, err
	})
	return ids[0], ids[1]
}

func (r record) links() []Link {
	var out []Link
	for _, one := range r.items("links") {
		inner, ok := r.listed(one, "path", "target")
		if !ok {
			continue
		}
		l := Link{Path: inner.imagePath("path"), Target: inner.must("target"), Pos: inner.v.pos}
		if l.Target != "" && linkLeaves(l) {
			inner.fault("target", "target %q leaves the root", l.Target)
		}
		out = append(out, l)
	}
	return out
}

func (r record) generate() []string {
	out := r.texts("generate")
	for i, name := range out {
		if name != "" && !slices.Contains(Generators(), name) {
			r.fault("generate", "unknown generator %q: there are %s", name, strings.Join(Generators(), ", "))
		}
		if slices.Contains(out[:i], name) {
			r.fault("generate", "generator %s stands twice", name)
		}
	}
	return out
}
