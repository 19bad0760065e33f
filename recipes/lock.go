package recipes

import "time"

// Digest is a sha256 as 64 lower-case hexadecimal digits, without prefix.
type Digest string

// Lock is one snapshot of one distro: every artefact of every image, stream
// and platform, and whatever else changes a digest.
type Lock struct {
	Format  int
	Distro  Distro
	Release string // the distro's own release: 13.8, v3.24
	// Date is the date of the newest index, and the date of the images.
	Date    time.Time
	Indexes []LockedIndex
	// Encoder names the compressor and the digest of its golden stream.
	Encoder       string
	EncoderGolden Digest
	// Go is the version that builds Go sources: go1.26.8.
	Go     string
	Images []LockedImage // sorted by name, stream, platform
}

// LockedIndex is a package index that the lock was resolved from.
type LockedIndex struct {
	Archive string
	Path    string
	SHA256  Digest
	Size    int64
	Date    time.Time
}

// LockedImage is what one image of one platform adds to its parent.
type LockedImage struct {
	Ref
	Platform  Platform
	Artifacts []Artifact // in the order of the layers, then by kind and name
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
	Layer   string // name of the recipe's layer
	Kind    Kind
	Name    string // the package's name, g:a[:classifier][@type], or import path
	Version string
	PURL    string
	Size    int64
	SHA256  Digest
	// Checksum is the distro's own: Q1… of an apk, h1:… of a Go module.
	Checksum string
	License  string
	// Origin is the source package, where the index names one.
	Origin  string
	Archive string
	Path    string
	URL     string
}
