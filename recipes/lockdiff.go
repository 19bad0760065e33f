package recipes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Sources is the digest of what resolving an image depends on: its parent and
// the packages and artefacts that it asks for. Files, config, and what is
// dropped or placed where change an image without changing its lock entries.
func (i *Image) Sources() Digest {
	type source struct{ Kind, Name, Detail string }
	type layer struct {
		Name    string
		Sources []source
	}
	inputs := struct {
		Ref    Ref
		From   *Ref
		Layers []layer
	}{Ref: i.Ref, From: i.From}
	for _, l := range i.Layers {
		one := layer{Name: l.Name}
		add := func(kind, name, detail string) { one.Sources = append(one.Sources, source{kind, name, detail}) }
		for _, p := range l.Packages {
			add("package", p.Name, "")
		}
		for _, e := range l.Excludes {
			add("exclude", e.Name, "")
		}
		for _, t := range l.Tarballs {
			add("tarball", t.Name, strings.Join([]string{t.Version, t.License, t.URL, t.Archive, t.Path, t.Release,
				string(t.SHA256), fmt.Sprint(t.APKRoot)}, " "))
		}
		for _, m := range l.Maven {
			add("maven", m.Coordinate, m.License)
		}
		for _, p := range l.PyPI {
			add("pypi", p.Requirement, fmt.Sprint(p.License, " ", p.SDist))
		}
		for _, g := range l.Go {
			add("go", g.Package, g.Module+" "+g.Version+" "+g.License)
		}
		inputs.Layers = append(inputs.Layers, one)
	}
	return digestOf(inputs)
}

// Outdated is an image whose lock entry is missing or was resolved for
// something else than its recipe asks for now.
type Outdated struct {
	Ref
	Platform Platform
	Reason   string
}

// String says which image and why.
func (o Outdated) String() string { return fmt.Sprintf("%s on %s: %s", o.Ref, o.Platform, o.Reason) }

// Check tells which images of a set are missing from the lock or out of date,
// parents before children; a child of such an image is one too, since it is
// resolved on its parent. What the lock holds beyond the set comes last.
func (l *Lock) Check(s *Set, platforms ...Platform) ([]Outdated, error) {
	var out []Outdated
	known := map[string]bool{}
	for _, p := range platforms {
		images, err := s.Images(l.Distro, p)
		if err != nil {
			return nil, err
		}
		stale := map[Ref]bool{}
		for _, image := range images {
			known[image.Ref.String()+" "+string(p)] = true
			locked, ok := l.Image(image.Ref, p)
			reason := ""
			switch {
			case !ok:
				reason = "not locked"
			case locked.Sources != image.Sources():
				reason = "the recipe asks for something else than was locked"
			case image.From != nil && stale[*image.From]:
				reason = "its parent " + image.From.String() + " is resolved anew"
			default:
				continue
			}
			stale[image.Ref] = true
			out = append(out, Outdated{image.Ref, p, reason})
		}
	}
	for _, locked := range l.Images {
		if slices.Contains(platforms, locked.Platform) && !known[locked.Ref.String()+" "+string(locked.Platform)] {
			out = append(out, Outdated{locked.Ref, locked.Platform, "no recipe makes it"})
		}
	}
	return out, nil
}

// Change is an artefact that two locks hold in different versions.
type Change struct {
	Kind     Kind
	Name     string
	Old, New string // "" where it is not there
	Images   []string
}

// String writes name old → new.
func (c Change) String() string {
	return fmt.Sprintf("%s %s → %s", c.Name, cmp.Or(c.Old, "(none)"), cmp.Or(c.New, "(none)"))
}

// Diff tells what moved between two locks of a distro, each change once with
// the images that it touches; either lock may be nil.
func Diff(before, after *Lock) []Change {
	type key struct {
		kind           Kind
		name, old, now string
	}
	images := map[key][]string{}
	old, now := before.byPlace(), after.byPlace()
	note := func(p artifactPlace) {
		a, b := old[p], now[p]
		if a == b {
			return
		}
		if a.version == b.version { // the same version, another file
			a.version += " (sha256 " + string(a.sha256[:12]) + ")"
			b.version += " (sha256 " + string(b.sha256[:12]) + ")"
		}
		k := key{p.kind, p.name, a.version, b.version}
		if !slices.Contains(images[k], p.image) {
			images[k] = append(images[k], p.image)
		}
	}
	for p := range old {
		note(p)
	}
	for p := range now {
		note(p)
	}
	var out []Change
	for k, at := range images {
		slices.Sort(at)
		out = append(out, Change{k.kind, k.name, k.old, k.now, at})
	}
	slices.SortFunc(out, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.Kind), string(b.Kind)),
			strings.Compare(a.Old, b.Old), strings.Compare(a.New, b.New))
	})
	return out
}

// artifactPlace is where an artefact stands in a lock.
type artifactPlace struct {
	image    string
	platform Platform
	kind     Kind
	name     string
}

// artifactState is what a lock says of it.
type artifactState struct {
	version string
	sha256  Digest
}

func (l *Lock) byPlace() map[artifactPlace]artifactState {
	out := map[artifactPlace]artifactState{}
	if l == nil {
		return out
	}
	for _, image := range l.Images {
		for _, a := range image.Artifacts {
			out[artifactPlace{image.Ref.String(), image.Platform, a.Kind, a.Name}] = artifactState{a.Version, a.SHA256}
		}
	}
	return out
}
