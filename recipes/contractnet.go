package recipes

import (
	"slices"
	"strings"
)

// address refuses what cannot be asked from outside of the containers.
func (r record) address(key, url string, c Case) {
	r.hosts(key, url, hostURL, "address, want http://127.0.0.1:PORT/…,", c)
}

// database does the same for PostgreSQL's addresses.
func (r record) database(key, url string, c Case) {
	r.hosts(key, url, hostDatabase, "address, want postgres://USER:PASSWORD@127.0.0.1:PORT,…/DATABASE,", c)
}

// hosts reads the hosts of an address, which are the first group of a form:
// the loopback, or what is known by name where networks are separate.
func (r record) hosts(key, url string, form *Pattern, want string, c Case) {
	match := form.FindStringSubmatch(url)
	if match == nil {
		r.match(key, url, form, want)
		return
	}
	for _, one := range strings.Split(match[1], ",") {
		name, _, found := strings.Cut(one, ":")
		if !found {
			name = one
		}
		if !c.knows(name) {
			r.fault(key, "bad %s have host %q", want, name)
		}
	}
}

// knows says whether a host can be asked from outside of the containers.
func (c Case) knows(name string) bool {
	if name == "localhost" || name == "127.0.0.1" {
		return true
	}
	return c.Separate && slices.ContainsFunc(c.Containers, func(one Container) bool { return one.Name == name })
}

// cutFirst refuses to cut what cannot be cut, and to heal what is whole.
func (r record) cutFirst(c Case) {
	cut := map[string]bool{}
	for _, st := range c.Steps {
		if st.Do != Cut && st.Do != Heal {
			continue
		}
		switch {
		case !c.Separate:
			r.add(st.Pos, join(r.key, "steps"), "%s needs network: separate in the case", st.Do)
		case cut[st.In] && st.Do == Cut:
			r.add(st.Pos, join(r.key, "steps"), "%s is cut already", st.In)
		case !cut[st.In] && st.Do == Heal:
			r.add(st.Pos, join(r.key, "steps"), "heal without cut of %s before it", st.In)
		}
		cut[st.In] = st.Do == Cut
	}
}

// writesFirst refuses steps that ask for rows that nobody writes.
func (r record) writesFirst(steps []Step) {
	writing, kept := false, false
	for _, st := range steps {
		switch st.Do {
		case Writes:
			if writing {
				r.add(st.Pos, join(r.key, "steps"), "a second writes: the first ends with kept")
			}
			writing, kept = true, false
		case Resumed, Kept:
			if !writing && !(kept && st.Do == Kept) {
				r.add(st.Pos, join(r.key, "steps"), "%s without writes before it", st.Do)
			}
			kept = st.Do == Kept
			writing = writing && !kept
		}
	}
	if writing {
		r.add(r.v.pos, join(r.key, "steps"), "writes without kept after it")
	}
}
