package fetch

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Archives are the names that mirrors are known for.
func Archives() []string { return []string{Alpine, Debian, DebianSecurity, Maven, PyPI, Go} }

// alpineCDN is Alpine's own content delivery network.
const alpineCDN = "https://dl-cdn.alpinelinux.org/alpine"

// snapshotDebian keeps every state that Debian's archives have had.
const snapshotDebian = "https://snapshot.debian.org/archive"

// DiscoverOptions say where mirrors are looked for. The zero value looks at
// the machine's own settings only.
type DiscoverOptions struct {
	// Flags are what the user said, by archive, in order; several addresses
	// of one archive are separated by spaces.
	Flags map[string]string
	// Defaults, by archive, are the ecosystem's own addresses as a library
	// knows them. That of pypi may be the JSON interface's (…/pypi): the
	// simple index beside it is meant.
	Defaults map[string]string
	// Root is the folder that /etc lies in; empty is the machine's own.
	Root string
	// Home is the user's home folder; empty is the user's own.
	Home string
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
}

// Discover finds the mirrors of every archive: what the user said, then what
// the machine's own clients are set up with, then the ecosystem's default.
// None of it is trusted: signatures and sha256 decide. What the go command is
// set up with is left to GoProxies.
func Discover(o DiscoverOptions) (Mirrors, error) {
	o.fill()
	m := Mirrors{}
	for name := range o.Flags {
		if !slices.Contains(Archives(), name) {
			return nil, fmt.Errorf("--mirror %s=…: there is no archive of that name: it is one of %s", name, strings.Join(Archives(), ", "))
		}
	}
	for _, name := range Archives() {
		said := o.Flags[name]
		if said == "" {
			said = o.Getenv("SHUDL_MIRROR_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		}
		for _, address := range strings.Fields(said) {
			if _, err := newPlace(address, ""); err != nil {
				return nil, fmt.Errorf("--mirror %s=%s: %w", name, CleanURL(address), err)
			}
			m.add(name, address)
		}
	}
	o.apt(m)
	m.besides()
	o.apkRepositories(m)
	o.maven(m)
	o.pip(m)
	for _, name := range Archives() {
		if address := o.Defaults[name]; address != "" {
			if name == PyPI {
				address = simpleIndex(address)
			}
			m.add(name, address)
		}
	}
	m.add(Alpine, alpineCDN)
	return m, nil
}

func (o *DiscoverOptions) fill() {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Root == "" {
		o.Root = "/"
	}
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir()
	}
}

// WithSnapshot gives the mirrors with Debian's snapshot service, at one date
// after the other, as the last that is asked: it has what live mirrors have
// dropped.
func (m Mirrors) WithSnapshot(dates ...time.Time) Mirrors {
	with := Mirrors{}
	for name, list := range m {
		with[name] = slices.Clone(list)
	}
	for _, date := range dates {
		stamp := date.UTC().Format("20060102T150405Z")
		with.add(Debian, snapshotDebian+"/debian/"+stamp)
		with.add(DebianSecurity, snapshotDebian+"/debian-security/"+stamp)
	}
	return with
}

// add appends an address that is not there yet.
func (m Mirrors) add(name, address string) {
	address = strings.TrimRight(strings.TrimSpace(address), "/")
	if address == "" || slices.Contains(m[name], address) {
		return
	}
	m[name] = append(m[name], address)
}

// simpleIndex is the simple index (PEP 503) beside the JSON interface.
func simpleIndex(address string) string {
	address = strings.TrimRight(address, "/")
	if base, ok := strings.CutSuffix(address, "/pypi"); ok {
		return base + "/simple"
	}
	return address
}

// apkRepositories reads the mirrors of a machine that runs Alpine: lines such
// as https://host/alpine/v3.24/main.
func (o DiscoverOptions) apkRepositories(m Mirrors) {
	content, err := os.ReadFile(filepath.Join(o.Root, "etc/apk/repositories"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "@") {
			continue
		}
		u, err := url.Parse(line)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		folders := strings.Split(strings.TrimRight(u.Path, "/"), "/")
		if len(folders) < 3 || !strings.HasPrefix(folders[len(folders)-2], "v") && folders[len(folders)-2] != "edge" {
			continue
		}
		u.Path = strings.Join(folders[:len(folders)-2], "/")
		m.add(Alpine, u.String())
	}
}

// GoProxies are the module proxies that the go command is set up with, which it
// is asked for where the environment does not say: that takes longer than all of
// Discover. "direct" and "off" are no mirrors.
func (o DiscoverOptions) GoProxies(ctx context.Context) []string {
	o.fill()
	list := o.Getenv("GOPROXY")
	if list == "" {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "env", "GOPROXY")
		cmd.Dir = os.TempDir() // no go.mod there may ask for another toolchain
		out, err := cmd.Output()
		if err != nil {
			return nil // no go here: what needs it will say so
		}
		list = strings.TrimSpace(string(out))
	}
	m := Mirrors{}
	for _, address := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
		if address != "direct" && address != "off" {
			m.add(Go, address)
		}
	}
	return m[Go]
}
