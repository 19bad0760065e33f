package evidence

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/maven"
)

// projects is what all jars of a layer say of each other.
type projects struct {
	groups map[string]map[string]bool // artifact → groups that name it
	exact  map[string]map[string]bool // artifact:version → groups
}

func newProjects(files []File) *projects {
	p := &projects{groups: map[string]map[string]bool{}, exact: map[string]map[string]bool{}}
	for _, f := range files {
		for _, part := range f.Facts.Parts {
			if part.Type == packageurl.TypeMaven {
				p.note(part.Namespace, part.Name, part.Version)
			}
		}
		if f.Facts.Jar == nil {
			continue
		}
		for _, mention := range f.Facts.Jar.Mentions {
			group, rest, _ := strings.Cut(mention, ":")
			artifact, version, _ := strings.Cut(rest, ":")
			p.note(group, artifact, version)
		}
	}
	return p
}

func (p *projects) note(group, artifact, version string) {
	put := func(m map[string]map[string]bool, key string) {
		if m[key] == nil {
			m[key] = map[string]bool{}
		}
		m[key][group] = true
	}
	put(p.groups, artifact)
	if version != "" {
		put(p.exact, artifact+":"+version)
	}
}

// group is the only one that is named with an artifact, of those that fit;
// where there are several, the only one that is named with its version too.
func (p *projects) group(artifact, version string, fits func(string) bool) string {
	for _, groups := range []map[string]bool{p.groups[artifact], p.exact[artifact+":"+version]} {
		var found []string
		for g := range groups {
			if fits(g) {
				found = append(found, g)
			}
		}
		if len(found) == 1 {
			return found[0]
		}
	}
	return ""
}

// candidate is one reading of a jar's file name.
type candidate struct {
	prefix     string // what stands before the artifact: a group, perhaps shortened
	artifact   string
	version    string
	classifier string
}

// jar identifies a jar as a whole. The part is that of its own which it is,
// where it has one.
func (p *projects) jar(f File) (Part, Component, bool) {
	name := strings.TrimSuffix(path.Base(f.Path), path.Ext(f.Path))
	for _, part := range f.Facts.Parts {
		if part.Type != packageurl.TypeMaven || strings.Contains(part.Where, "!/") {
			continue
		}
		classifier, ok := named(name, part)
		if !ok {
			continue
		}
		c := part.component(f.Path)
		c.Whole = true
		c.PURL = maven.Coordinate{Group: part.Namespace, Artifact: part.Name, Version: part.Version, Classifier: classifier, Type: "jar"}.PURL()
		return part, p.complete(c, f), true
	}
	best, group := p.read(name, f.Facts.Jar)
	if best.version == "" {
		return Part{}, Component{}, false
	}
	c := Component{Name: best.artifact, Version: best.version, Path: f.Path, Method: Filename, Whole: true}
	if group != "" {
		c.Name = group + ":" + best.artifact
		c.PURL = maven.Coordinate{Group: group, Artifact: best.artifact, Version: best.version, Classifier: best.classifier, Type: "jar"}.PURL()
	}
	return Part{}, p.complete(c, f), true
}

// complete adds what a jar says of itself as a whole.
func (p *projects) complete(c Component, f File) Component {
	if c.License == "" {
		c.License = f.Facts.License
	}
	if c.Supplier == "" {
		c.Supplier = f.Facts.Supplier
	}
	return c
}

// named tells whether a jar bears the name of a project: artifact-version,
// a group before it, a classifier behind.
func named(name string, p Part) (classifier string, ok bool) {
	i := strings.LastIndex(name, p.Name+"-"+p.Version)
	if i < 0 || i > 0 && !isPrefix(strings.TrimSuffix(name[:i], "_")) {
		return "", false
	}
	rest := name[i+len(p.Name)+1+len(p.Version):]
	if rest == "" {
		return "", true
	}
	if rest[0] != '-' {
		return "", false
	}
	return rest[1:], true
}

// prefixes are groups, whole or with dots for what was left out.
var (
	prefixWord = recipes.NewPattern(`^[A-Za-z][A-Za-z0-9-]*(\.+[A-Za-z][A-Za-z0-9-]*)*$`)
	letter     = recipes.NewPattern(`^[A-Za-z]`)
	digitDash  = recipes.NewPattern(`-[0-9]`)
)

func isPrefix(s string) bool { return prefixWord.MatchString(s) }

// candidates are all readings of a jar's name, the longest version first.
func candidates(name string) []candidate {
	var out []candidate
	for _, at := range digitDash.Regexp().FindAllStringIndex(name, -1) {
		artifact, version := name[:at[0]], name[at[0]+1:]
		out = append(out, candidate{artifact: artifact, version: version})
		if prefix, rest, ok := strings.Cut(artifact, "_"); ok && letter.MatchString(rest) && isPrefix(prefix) && (strings.Contains(prefix, ".") || prefix == rest) {
			out = append(out, candidate{prefix: prefix, artifact: rest, version: version})
		}
	}
	return out
}

// read finds the reading of a name that something else bears out, and its
// group where that is known.
func (p *projects) read(name string, jar *Jar) (candidate, string) {
	all := candidates(name)
	if len(all) == 0 {
		return candidate{}, ""
	}
	for _, c := range all {
		if short := strings.Contains(c.prefix, "..."); c.prefix != "" {
			fits := func(group string) bool { return !short && group == c.prefix || short && shortens(c.prefix, group) }
			if g := p.group(c.artifact, c.version, fits); g != "" {
				return c.classified(p, g), g
			}
		}
	}
	for _, c := range all {
		if c.prefix != "" && !strings.Contains(c.prefix, "...") && (jar.Version == "" || jar.Version == c.version) {
			return c, c.prefix
		}
	}
	for _, c := range all {
		any := func(string) bool { return true }
		inModule := func(group string) bool { return group+"."+c.artifact == jar.Module }
		if g := cmp.Or(p.group(c.artifact, c.version, any), p.group(c.artifact, c.version, inModule)); g != "" && c.prefix == "" {
			return c.classified(p, g), g
		}
	}
	for _, c := range all {
		// Build tools of Scala write the group there; others anything.
		title, _, _ := strings.Cut(c.artifact, "_2.")
		if jar.VendorID != "" && strings.Contains(jar.VendorID, ".") && jar.Title == title && jar.Version == c.version {
			return c, jar.VendorID
		}
	}
	i := max(0, slices.IndexFunc(all, func(c candidate) bool { return c.version == jar.Version }))
	best := all[i]
	if prefixed := slices.IndexFunc(all, func(c candidate) bool { return c.version == best.version && c.prefix != "" }); prefixed >= 0 {
		best = all[prefixed]
	}
	if best.prefix != "" && !strings.Contains(best.prefix, "...") {
		return best, best.prefix
	}
	return best, ""
}

// classified takes a classifier off a version, where the rest of it is one
// that is known with this group.
func (c candidate) classified(p *projects, group string) candidate {
	if p.exact[c.artifact+":"+c.version][group] {
		return c
	}
	for i := len(c.version) - 1; i > 0; i-- {
		if c.version[i] == '-' && p.exact[c.artifact+":"+c.version[:i]][group] {
			c.classifier, c.version = c.version[i+1:], c.version[:i]
			break
		}
	}
	return c
}

// shortens tells whether "io.o...etry" stands for a group.
func shortens(short, group string) bool {
	before, after, ok := strings.Cut(short, "...")
	return ok && len(group) >= len(before)+len(after) && strings.HasPrefix(group, before) && strings.HasSuffix(group, after)
}
