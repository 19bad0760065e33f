package recipes

import "slices"

// link expands all recipes for a distro and platform and joins them: parents
// are found, cycles refused, configs inherited. It gives the contracts, too.
func link(rep *report, all []*recipe, d Distro, p Platform) ([]*Image, map[Ref]*Contract) {
	l := linker{report: rep, own: map[Ref]expanded{}, state: map[Ref]int{}}
	for _, rec := range all {
		for _, st := range rec.streams {
			if slices.Contains(st.made, d) {
				l.own[Ref{rec.name, st.name}] = rec.expand(rep, st, d, p)
			}
		}
		if !slices.ContainsFunc(rec.streams, func(st stream) bool { return slices.Contains(st.made, d) }) &&
			slices.Contains(rec.made, d) && len(rec.streams) > 0 {
			rep.add(rec.top.get("streams").pos, "streams", "no stream is made for %s", d)
		}
	}
	refs := make([]Ref, 0, len(l.own))
	for ref := range l.own {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, Ref.Compare)
	for _, ref := range refs {
		l.visit(ref)
	}
	return l.order, l.contracts()
}

// contracts gathers those of the images, and gives the helpers that they name
// their streams.
func (l *linker) contracts() map[Ref]*Contract {
	all := map[Ref]*Contract{}
	for _, image := range l.order {
		c := l.own[image.Ref].contract
		if c == nil {
			continue
		}
		all[image.Ref] = c
		for _, one := range c.Cases {
			for i := range one.Containers {
				l.findHelper(&one.Containers[i], image.Distro)
			}
		}
	}
	return all
}

func (l *linker) findHelper(c *Container, d Distro) {
	if c.Image == (Ref{}) {
		return
	}
	for _, image := range l.order {
		if image.Is(c.Image) {
			c.Image = image.Ref
			return
		}
	}
	l.add(c.Pos, "image", "there is no image %s for %s", c.Image, d)
}

// linker walks from each image to its base.
type linker struct {
	*report
	own   map[Ref]expanded
	state map[Ref]int // 1 on the way down, 2 done
	order []*Image
}

// visit puts an image after its parent; it is false where there is none to
// build on.
func (l *linker) visit(ref Ref) bool {
	switch l.state[ref] {
	case 1:
		e := l.own[ref]
		l.add(e.pos, "from", "image %s is built on itself", ref)
		return false
	case 2:
		return l.own[ref].Digest != ""
	}
	l.state[ref] = 1
	defer func() { l.state[ref] = 2 }()
	e := l.own[ref]
	chain := []*Image{e.Image}
	if e.from != "" {
		parent, ok := l.parent(e)
		if !ok || !l.visit(parent.Ref) {
			return false
		}
		e.From = &parent.Ref
		e.inherit(parent.Config)
		for up := parent.Image; ; up = l.own[*up.From].Image {
			chain = append(chain, up)
			if up.From == nil {
				break
			}
		}
	}
	slices.Reverse(chain)
	checkAccounts(l.report, chain)
	e.Digest = e.Image.digest()
	l.order = append(l.order, e.Image)
	return true
}

// parent finds what an image is built on: NAME, NAME:STREAM, or base.
func (l *linker) parent(e expanded) (expanded, bool) {
	ref, err := ParseRef(e.from)
	if err != nil {
		l.add(e.pos, "from", "%v", err)
		return expanded{}, false
	}
	if ref.Name == "base" {
		ref.Name = e.Distro.Base()
	}
	if found, ok := l.own[ref]; ok {
		return found, true
	}
	streamed := false
	for other, found := range l.own {
		if other.Name != ref.Name {
			continue
		}
		streamed = true
		if ref.Stream == "" && found.Default {
			return found, true
		}
	}
	if streamed {
		l.add(e.pos, "from", "image %s has no stream %q for %s", ref.Name, ref.Stream, e.Distro)
	} else {
		l.add(e.pos, "from", "there is no image %s for %s: make one, or name in distros those that have it", ref.Name, e.Distro)
	}
	return expanded{}, false
}
