package recipes

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LockFormat is the version of the lock's own form.
const LockFormat = 1

// Digest is a sha256 as 64 lower-case hexadecimal digits, without prefix.
type Digest string

// Lock is one snapshot of one distro: every artefact of every image, stream
// and platform, and whatever else changes a digest.
type Lock struct {
	Format  int    `json:"format"`
	Distro  Distro `json:"distro"`
	Release string `json:"release"` // the distro's own release: 13.8, v3.24
	// Date is the date of the newest index, and that of every image that has
	// none of its own.
	Date time.Time `json:"date"`
	// Encoder names the compressor and the digest of its golden stream.
	Encoder       string `json:"encoder"`
	EncoderGolden Digest `json:"encoder-golden"`
	// LayerFormat is the version of the rules by which layers are written:
	// order, members, and which of them get the cheap level. Layers reads it.
	LayerFormat int `json:"layer-format,omitempty"`
	// Go is the version that builds Go sources: go1.26.8.
	Go      string        `json:"go"`
	Indexes []LockedIndex `json:"indexes"`
	Images  []LockedImage `json:"images"` // sorted by name, stream, platform
}

// Layers is the version of the rules by which layers are written: 1 in a lock
// that does not say.
func (l *Lock) Layers() int { return max(1, l.LayerFormat) }

// LockedIndex is a package index that the lock was resolved from.
type LockedIndex struct {
	Archive string    `json:"archive"`
	Path    string    `json:"path"`
	SHA256  Digest    `json:"sha256"`
	Size    int64     `json:"size"`
	Date    time.Time `json:"date"`
}

// LockedImage is what one image of one platform adds to its parent.
type LockedImage struct {
	Ref      `json:"-"`
	Platform Platform
	// Sources is the digest of what the recipe asked for when this was
	// resolved (Image.Sources): another one means that it is out of date.
	Sources   Digest
	Artifacts []Artifact // in the order of the layers, then by kind and name
	// Date is that of the newest index which this was resolved from; zero is
	// the lock's. An image has one that was kept while others were refreshed.
	Date time.Time
}

// Kind says how an artefact is laid out.
type Kind string

// The kinds of artefact.
const (
	KindAPK     Kind = "apk"
	KindDeb     Kind = "deb"
	KindMaven   Kind = "maven"
	KindPyPI    Kind = "pypi"
	KindGo      Kind = "go"
	KindTarball Kind = "tarball"
)

// Artifact is one locked file. Its place is an archive (alpine, debian,
// debian-security, maven, pypi, go) and a path below that mirror, never a
// host; only a tarball that a recipe names by address has a URL.
type Artifact struct {
	Layer   string `json:"layer"` // name of the recipe's layer
	Kind    Kind   `json:"kind"`
	Name    string `json:"name"` // the package's name, g:a[:classifier][@type], or import path
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Size    int64  `json:"size"`
	SHA256  Digest `json:"sha256"`
	// Checksum is the distro's own: Q1… of an apk, h1:… of a Go module.
	Checksum string `json:"checksum,omitempty"`
	License  string `json:"license,omitempty"`
	// Origin is the source package, where the index names one.
	Origin  string `json:"origin,omitempty"`
	Archive string `json:"archive,omitempty"`
	Path    string `json:"path,omitempty"`
	URL     string `json:"url,omitempty"`
}

// Image finds what is locked for one image of one platform.
func (l *Lock) Image(ref Ref, p Platform) (*LockedImage, bool) {
	for i := range l.Images {
		if l.Images[i].Ref == ref && l.Images[i].Platform == p {
			return &l.Images[i], true
		}
	}
	return nil, false
}

// Chain gives what is locked for an image and its ancestors, in the order of
// Set.Chain: the base first.
func (l *Lock) Chain(images []*Image) ([]LockedImage, error) {
	chain := make([]LockedImage, 0, len(images))
	for _, image := range images {
		locked, ok := l.Image(image.Ref, image.Platform)
		if !ok {
			return nil, fmt.Errorf("image %s is not locked for %s on %s", image.Ref, l.Distro, image.Platform)
		}
		chain = append(chain, *locked)
	}
	return chain, nil
}

// Resolved is the date of the indexes that an image was resolved from.
func (l *Lock) Resolved(image LockedImage) time.Time {
	if image.Date.IsZero() {
		return l.Date
	}
	return image.Date
}

// DateOf is the date that an image has: the newest that it or one of its
// ancestors was resolved at.
func (l *Lock) DateOf(chain []LockedImage) time.Time {
	var date time.Time
	for _, image := range chain {
		if resolved := l.Resolved(image); resolved.After(date) {
			date = resolved
		}
	}
	return date
}

// Dates are those that images were resolved at, the newest first: at one of
// them the distro's archives had each package.
func (l *Lock) Dates() []time.Time {
	dates := []time.Time{l.Date.UTC()}
	for _, image := range l.Images {
		if !image.Date.IsZero() {
			dates = append(dates, image.Date.UTC())
		}
	}
	slices.SortFunc(dates, func(a, b time.Time) int { return b.Compare(a) })
	return slices.Compact(dates)
}

// Put adds or replaces what is locked for an image.
func (l *Lock) Put(locked LockedImage) {
	if at, ok := l.Image(locked.Ref, locked.Platform); ok {
		*at = locked
		return
	}
	l.Images = append(l.Images, locked)
	slices.SortFunc(l.Images, compareLocked)
}

func compareLocked(a, b LockedImage) int {
	if c := a.Compare(b.Ref); c != 0 {
		return c
	}
	return strings.Compare(string(a.Platform), string(b.Platform))
}

// In lists the artefacts of one layer.
func (i LockedImage) In(layer string) []Artifact {
	var out []Artifact
	for _, a := range i.Artifacts {
		if a.Layer == layer {
			out = append(out, a)
		}
	}
	return out
}
