package recipes

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// checkClashes refuses two sources of one recipe that claim the same path or
// the same account. What packages bring is known only once they are
// unpacked; the tree checks that.
func (rec *recipe) checkClashes(s scope, image *Image) {
	claimed := map[string]claim{}
	for _, layer := range image.Layers {
		for _, f := range layer.Files {
			s.claim(claimed, f.Path, "file", f.Pos)
		}
		for _, g := range layer.Go {
			s.claim(claimed, g.Into, "program", g.Pos)
		}
		for _, d := range layer.Directories {
			s.claim(claimed, d.Path, "directory", d.Pos)
		}
		for _, l := range layer.Links {
			s.claim(claimed, l.Path, "link", l.Pos)
		}
		for _, m := range layer.Maven {
			if !m.Extract && m.Rename != "" {
				s.claim(claimed, path.Join(m.Into, m.Rename), "artefact", m.Pos)
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(claimed)) {
		for above := path.Dir(at); above != "."; above = path.Dir(above) {
			if c, ok := claimed[above]; ok && c.kind != "directory" {
				s.add(claimed[at].pos, "layers", "%s %s lies below the %s %s (%s)", claimed[at].kind, at, c.kind, above, c.pos)
			}
		}
	}
}

// claim is who says that a path exists.
type claim struct {
	kind string
	pos  Position
}

func (s scope) claim(claimed map[string]claim, at, kind string, pos Position) {
	if at == "" {
		return // reported where it was read
	}
	if other, taken := claimed[at]; taken {
		s.add(pos, "layers", "%s %s clashes with the %s at %s", kind, at, other.kind, other.pos)
		return
	}
	claimed[at] = claim{kind, pos}
}

// checkAccounts refuses a name or id that the image or one of its ancestors
// gave already.
func checkAccounts(rep *report, chain []*Image) {
	names, ids := map[string]Account{}, map[int]Account{}
	for _, image := range chain {
		for _, layer := range image.Layers {
			for _, a := range layer.Accounts {
				if other, taken := names[a.Name]; taken && a.Name != "" {
					rep.add(a.Pos, "accounts", "account %s exists already (%s)", a.Name, other.Pos)
				} else if other, taken := ids[a.UID]; taken {
					rep.add(a.Pos, "accounts", "uid %d of account %s belongs to %s (%s)", a.UID, a.Name, other.Name, other.Pos)
				}
				names[a.Name], ids[a.UID] = a, a
			}
		}
	}
}

// linkLeaves says whether a symbolic link points above the root of the image.
func linkLeaves(l Link) bool {
	target := l.Target
	if strings.HasPrefix(target, "/") {
		target = strings.TrimPrefix(target, "/")
	} else {
		target = path.Dir(l.Path) + "/" + target
	}
	depth := 0
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}
