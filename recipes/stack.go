package recipes

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// stackFolder holds the stacks, NAME.yaml each.
const stackFolder = "stacks"

var stackKeys = []string{"summary", "distros", "cases"}

// stack is a file of stackFolder.
type stack struct {
	name string
	top  *value
	sum  Digest
}

// openStacks reads the files of the folder; none is no mistake.
func openStacks(fsys fs.FS, prefix string, rep *report) []stack {
	entries, err := fs.ReadDir(fsys, stackFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		rep.add(Position{File: path.Join(prefix, stackFolder)}, "", "cannot be read: %v", err)
	}
	var all []stack
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".yaml")
		if !ok {
			continue
		}
		name := path.Join(stackFolder, e.Name())
		at := Position{File: path.Join(prefix, name)}
		if !e.Type().IsRegular() {
			rep.add(at, "", "not a regular file")
			continue
		}
		if !partName.MatchString(base) {
			rep.add(at, "", "bad name of a stack: want lower-case letters, digits and hyphens")
			continue
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			rep.add(at, "", "cannot be read: %v", err)
			continue
		}
		top, err := parseYAML(at.File, data)
		if err != nil {
			one := err.(*Error)
			rep.add(one.Position, one.Key, "%s", one.Message)
			continue
		}
		sum := sha256.Sum256(data)
		all = append(all, stack{name: base, top: top, sum: Digest(hex.EncodeToString(sum[:]))})
	}
	return all
}

// read makes a stack concrete for a distro and platform, with the images that
// are made for it; nil where it is not made.
func (st stack) read(rep *report, images []*Image, d Distro, p Platform) *Contract {
	s := scope{report: rep, distro: d, platform: p, made: Distros(), platforms: Platforms()}
	s.vars = map[string]string{"arch.deb": p.Deb(), "arch.apk": p.APK(), "arch.go": p.Go(), "distro": string(d)}
	s, here := s.filter(st.top, "")
	r, ok := s.record(st.top, "", stackKeys...)
	if !ok || !here {
		return nil
	}
	c := &Contract{Ref: Ref{Name: st.name}, Stack: true, Summary: r.must("summary"), Distro: d, Platform: p, Source: st.top.pos.File, SHA256: st.sum}
	for _, one := range r.items("cases") {
		if inner, ok := s.listed(one, append(slices.Clone(caseKeys), containerKeys...)...); ok {
			c.Cases = append(c.Cases, inner.testCase(c))
		}
	}
	if len(c.Cases) == 0 {
		r.add(r.v.pos, "cases", "want at least one case")
	}
	l := linker{report: rep, order: images}
	for _, one := range c.Cases {
		for i := range one.Containers {
			l.findHelper(&one.Containers[i], d)
		}
	}
	return c
}

// Stacks lists the stacks that are made for a distro, by name.
func (s *Set) Stacks(d Distro) []*Contract {
	all := slices.Clone(s.stacks[world{d, LinuxAMD64}])
	slices.SortFunc(all, func(a, b *Contract) int { return strings.Compare(a.Ref.Name, b.Ref.Name) })
	return all
}

// Stack gives what images are held to together.
func (s *Set) Stack(name string, d Distro, p Platform) (*Contract, error) {
	for _, c := range s.stacks[world{d, p}] {
		if c.Ref.Name == name {
			return c, nil
		}
	}
	var names []string
	for _, c := range s.Stacks(d) {
		names = append(names, c.Ref.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no stack %q for %s, and no other", name, d)
	}
	return nil, fmt.Errorf("there is no stack %q for %s: there are %s", name, d, strings.Join(names, ", "))
}
