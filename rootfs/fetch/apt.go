package fetch

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// aptSource is one source of packages that apt is set up with: addresses and
// the suites that are read there.
type aptSource struct {
	uris   []string
	suites []string
}

// apt adds the mirrors that apt is set up with. Whether one holds the wanted
// suite, its signed InRelease decides; those of other distributions answer
// 404 and the next is asked.
func (o DiscoverOptions) apt(m Mirrors) {
	var sources []aptSource
	if content, err := os.ReadFile(filepath.Join(o.Root, "etc/apt/sources.list")); err == nil {
		sources = append(sources, parseOneLine(string(content))...)
	}
	files, _ := filepath.Glob(filepath.Join(o.Root, "etc/apt/sources.list.d/*"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		switch {
		case err != nil:
		case strings.HasSuffix(file, ".sources"):
			sources = append(sources, parseDeb822(string(content))...)
		case strings.HasSuffix(file, ".list"):
			sources = append(sources, parseOneLine(string(content))...)
		}
	}
	found := o.sortSources(sources)
	for _, name := range []string{Debian, DebianSecurity} {
		for _, uri := range found[name] {
			m.add(name, uri)
		}
	}
}

// besides adds what a mirror of one of Debian's archives often has beside it,
// the other archive, after all that was named: who names one has named both,
// also where no apt is set up.
func (m Mirrors) besides() {
	main, security := slices.Clone(m[Debian]), slices.Clone(m[DebianSecurity])
	for _, uri := range main {
		m.add(DebianSecurity, sibling(uri, "debian", "debian-security"))
	}
	for _, uri := range security {
		m.add(Debian, sibling(uri, "debian-security", "debian"))
	}
}

// sortSources tells security suites from the others. Addresses that end in
// the archive's usual folder come first: other vendors' sources rarely do.
func (o DiscoverOptions) sortSources(sources []aptSource) Mirrors {
	found := Mirrors{}
	for _, s := range sources {
		name := Debian
		if slices.ContainsFunc(s.suites, func(suite string) bool {
			return strings.HasSuffix(suite, "-security") || strings.HasSuffix(suite, "/updates")
		}) {
			name = DebianSecurity
		}
		for _, uri := range s.uris {
			for _, address := range o.aptAddresses(uri) {
				found.add(name, address)
			}
		}
	}
	for name, list := range found {
		usual := func(uri string) bool { return strings.HasSuffix(uri, "/"+name) }
		slices.SortStableFunc(list, func(a, b string) int {
			switch {
			case usual(a) == usual(b):
				return 0
			case usual(a):
				return -1
			}
			return 1
		})
	}
	return found
}

// aptAddresses gives the addresses behind a URI of apt: itself, or those that
// a mirror list on this machine names. Compact discs and Tor are left out.
func (o DiscoverOptions) aptAddresses(uri string) []string {
	if list, ok := strings.CutPrefix(uri, "mirror+file:"); ok {
		content, err := os.ReadFile(filepath.Join(o.Root, "/"+strings.TrimLeft(list, "/")))
		if err != nil {
			return nil
		}
		var addresses []string
		for line := range strings.Lines(string(content)) {
			if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
				addresses = append(addresses, o.aptAddresses(fields[0])...)
			}
		}
		return addresses
	}
	if _, err := newPlace(uri, ""); err != nil {
		return nil
	}
	return []string{uri}
}

// parseDeb822 reads a .sources file (sources.list(5), deb822 style).
func parseDeb822(content string) []aptSource {
	var sources []aptSource
	fields := map[string]string{}
	last := ""
	flush := func() {
		enabled := !slices.Contains([]string{"no", "false", "0", "off", "without", "disable"}, strings.ToLower(fields["enabled"]))
		if enabled && slices.Contains(strings.Fields(fields["types"]), "deb") {
			sources = append(sources, aptSource{uris: strings.Fields(fields["uris"]), suites: strings.Fields(fields["suites"])})
		}
		fields, last = map[string]string{}, ""
	}
	for line := range strings.Lines(content) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				fields[last] += " " + strings.TrimSpace(line)
			}
		default:
			key, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(key))
			fields[last] = strings.TrimSpace(value)
		}
	}
	flush()
	return sources
}

// parseOneLine reads a sources.list: deb [options] uri suite component...
func parseOneLine(content string) []aptSource {
	var sources []aptSource
	for line := range strings.Lines(content) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			_, after, found := strings.Cut(rest, "]")
			if !found {
				continue
			}
			rest = after
		}
		if fields := strings.Fields(rest); len(fields) >= 2 {
			sources = append(sources, aptSource{uris: fields[:1], suites: fields[1:2]})
		}
	}
	return sources
}

// sibling exchanges the last folder of an address; empty where it is another.
func sibling(address, from, to string) string {
	u, err := url.Parse(address)
	if err != nil || !strings.HasSuffix(u.Path, "/"+from) {
		return ""
	}
	u.Path = strings.TrimSuffix(u.Path, from) + to
	return u.String()
}
