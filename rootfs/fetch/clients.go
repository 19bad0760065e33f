package fetch

import (
	"encoding/xml"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
)

// maven adds the mirrors of Maven's settings that serve its central
// repository: the user's own first, then the installation's.
func (o DiscoverOptions) maven(m Mirrors) {
	var files []string
	if o.Home != "" {
		files = append(files, filepath.Join(o.Home, ".m2", "settings.xml"))
	}
	for _, name := range []string{"MAVEN_HOME", "M2_HOME"} {
		if dir := o.Getenv(name); dir != "" {
			files = append(files, filepath.Join(dir, "conf", "settings.xml"))
		}
	}
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil {
			for _, address := range o.parseMavenSettings(content) {
				m.add(Maven, address)
			}
		}
	}
}

// mavenSettings is what is read of a settings.xml
// (http://maven.apache.org/SETTINGS/1.0.0).
type mavenSettings struct {
	Mirrors []struct {
		ID       string `xml:"id"`
		MirrorOf string `xml:"mirrorOf"`
		URL      string `xml:"url"`
		Blocked  string `xml:"blocked"`
	} `xml:"mirrors>mirror"`
	Servers []struct {
		ID       string `xml:"id"`
		Username string `xml:"username"`
		Password string `xml:"password"`
	} `xml:"servers>server"`
}

func (o DiscoverOptions) parseMavenSettings(content []byte) []string {
	var settings mavenSettings
	if xml.Unmarshal(content, &settings) != nil {
		return nil
	}
	var addresses []string
	for _, mirror := range settings.Mirrors {
		if strings.TrimSpace(mirror.Blocked) == "true" || !mirrorsCentral(mirror.MirrorOf) {
			continue
		}
		address := o.expandMaven(strings.TrimSpace(mirror.URL))
		if _, err := newPlace(address, ""); err != nil {
			continue
		}
		for _, server := range settings.Servers {
			// An encrypted password is in braces: only Maven can read it.
			if server.ID == mirror.ID && server.Username != "" && !strings.HasPrefix(strings.TrimSpace(server.Password), "{") {
				address = withLogin(address, o.expandMaven(server.Username), o.expandMaven(server.Password))
			}
		}
		addresses = append(addresses, address)
	}
	return addresses
}

// mirrorsCentral reads a mirrorOf list for the repository named central,
// which is neither on this machine nor at a plain http address.
func mirrorsCentral(list string) bool {
	matches := false
	for _, id := range strings.Split(list, ",") {
		switch strings.TrimSpace(id) {
		case "!central":
			return false
		case "central", "*", "external:*":
			matches = true
		}
	}
	return matches
}

var mavenVariable = recipes.NewPattern(`\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}`)

func (o DiscoverOptions) expandMaven(value string) string {
	return mavenVariable.Regexp().ReplaceAllStringFunc(value, func(v string) string {
		return o.Getenv(mavenVariable.FindStringSubmatch(v)[1])
	})
}

func withLogin(address, user, password string) string {
	u, err := url.Parse(address)
	if err != nil || u.User != nil {
		return address
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// pip adds the indexes that pip is set up with: the environment before the
// files, the user's file before the machine's, the index before extra ones.
func (o DiscoverOptions) pip(m Mirrors) {
	settings := []map[string]string{{
		"index-url":       o.Getenv("PIP_INDEX_URL"),
		"extra-index-url": o.Getenv("PIP_EXTRA_INDEX_URL"),
	}}
	for _, file := range o.pipFiles() {
		if content, err := os.ReadFile(file); err == nil {
			settings = append(settings, parsePip(string(content)))
		}
	}
	for _, key := range []string{"index-url", "extra-index-url"} {
		for _, s := range settings {
			for _, address := range strings.Fields(s[key]) {
				if _, err := newPlace(address, ""); err == nil {
					m.add(PyPI, address)
				}
			}
		}
	}
}

func (o DiscoverOptions) pipFiles() []string {
	if file := o.Getenv("PIP_CONFIG_FILE"); file != "" {
		return []string{file}
	}
	var files []string
	if dir := o.Getenv("VIRTUAL_ENV"); dir != "" {
		files = append(files, filepath.Join(dir, "pip.conf"))
	}
	if dir := o.Getenv("XDG_CONFIG_HOME"); dir != "" {
		files = append(files, filepath.Join(dir, "pip", "pip.conf"))
	} else if o.Home != "" {
		files = append(files, filepath.Join(o.Home, ".config", "pip", "pip.conf"))
	}
	if o.Home != "" {
		files = append(files, filepath.Join(o.Home, "Library", "Application Support", "pip", "pip.conf"),
			filepath.Join(o.Home, ".pip", "pip.conf"))
	}
	return append(files, filepath.Join(o.Root, "etc", "pip.conf"), filepath.Join(o.Root, "etc", "xdg", "pip", "pip.conf"))
}

// parsePip reads the sections of a pip.conf that count for installing: [global]
// and [install], the latter stronger.
func parsePip(content string) map[string]string {
	sections := map[string]map[string]string{"global": {}, "install": {}}
	section, key := "", ""
	for line := range strings.Lines(content) {
		line = strings.TrimRight(line, "\r\n")
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
		case text[0] == '[' && strings.HasSuffix(text, "]"):
			section, key = text[1:len(text)-1], ""
		case sections[section] == nil:
		case (line[0] == ' ' || line[0] == '\t') && key != "":
			sections[section][key] += " " + text
		default:
			name, value, ok := cutAny(text)
			if ok {
				key = strings.ReplaceAll(strings.ToLower(name), "_", "-")
				sections[section][key] = value
			}
		}
	}
	for name, value := range sections["install"] {
		sections["global"][name] = value
	}
	return sections["global"]
}

// cutAny cuts at the first "=" or ":", as Python's configuration files are.
func cutAny(text string) (name, value string, ok bool) {
	i := strings.IndexAny(text, "=:")
	if i < 0 {
		return "", "", false
	}
	return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:]), true
}
