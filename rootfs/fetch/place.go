package fetch

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// place is one address of a file.
type place struct {
	mirror string   // the base address, without credentials
	url    *url.URL // with credentials
	file   string   // the local path, for file:
}

// places lists the addresses of a request in the order in which they are
// asked.
func (f *Fetcher) places(r Request) ([]place, error) {
	if r.URL != "" {
		p, err := newPlace(r.URL, "")
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", CleanURL(r.URL), err)
		}
		return []place{p}, nil
	}
	var list []place
	bases := f.bases(r.Archive)
	for _, below := range r.paths() {
		for _, base := range bases {
			p, err := newPlace(base, below)
			if err != nil {
				return nil, fmt.Errorf("mirror %s=%s: %w", r.Archive, CleanURL(base), err)
			}
			list = append(list, p)
		}
	}
	return list, nil
}

// bases are the addresses of an archive's mirrors, in their order.
func (f *Fetcher) bases(archive string) []string {
	if archive != Go || f.GoProxies == nil {
		return f.Mirrors[archive]
	}
	m := Mirrors{Go: slices.Clone(f.Mirrors[Go])}
	for _, address := range f.GoProxies() {
		m.add(Go, address)
	}
	return m[Go]
}

// paths are where the file may lie below a mirror, the likeliest first. An
// index of Debian's lies under its sha256 too, for some time after a newer one
// has taken its name (DebianRepository/Format, Acquire-By-Hash).
func (r Request) paths() []string {
	indexed := (r.Archive == Debian || r.Archive == DebianSecurity) && strings.HasPrefix(r.Path, "dists/")
	if !indexed || r.SHA256 == "" {
		return []string{r.Path}
	}
	return []string{path.Join(path.Dir(r.Path), "by-hash", "SHA256", string(r.SHA256)), r.Path}
}

// newPlace joins a base address and a path. Only http, https and file serve.
func newPlace(base, below string) (place, error) {
	if rest, ok := strings.CutPrefix(base, "file:"); ok {
		return filePlace(rest, below)
	}
	u, err := url.Parse(base)
	if err != nil {
		return place{}, fmt.Errorf("not an address")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return place{}, fmt.Errorf("not an address: write http://…, https://… or file:FOLDER")
	}
	p := place{mirror: clean(u), url: u}
	if below != "" {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/" + below
		u.RawPath = ""
	}
	return p, nil
}

// filePlace reads file:DIR, file:///DIR and file://localhost/DIR.
func filePlace(rest, below string) (place, error) {
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		host, dir, _ := strings.Cut(after, "/")
		if host != "" && host != "localhost" {
			return place{}, fmt.Errorf("a file: address names no host: write file:FOLDER")
		}
		rest = "/" + dir
	}
	dir, err := filepath.Abs(filepath.FromSlash(rest))
	if err != nil {
		return place{}, err
	}
	full := filepath.Join(dir, filepath.FromSlash(below))
	return place{
		mirror: "file://" + filepath.ToSlash(dir),
		url:    &url.URL{Scheme: "file", Path: filepath.ToSlash(full)},
		file:   full,
	}, nil
}
