package recipes

import "time"

// Distro is one of the two distributions that every image is made for.
type Distro string

// The distributions.
const (
	Alpine Distro = "alpine" // musl, apk
	Debian Distro = "debian" // glibc, deb
)

// Platform is an operating system and architecture as OCI writes them.
type Platform string

// The platforms that images are made for.
const (
	LinuxAMD64 Platform = "linux/amd64"
	LinuxARM64 Platform = "linux/arm64"
)

// Ref names an image of the set and one of its streams: base-java:25.
// Stream is empty for a recipe without streams.
type Ref struct {
	Name   string
	Stream string
}

// String writes NAME or NAME:STREAM.
func (r Ref) String() string {
	if r.Stream == "" {
		return r.Name
	}
	return r.Name + ":" + r.Stream
}

// Image is a recipe made concrete: one stream of one image for one distro and
// one platform, with variables replaced and nothing left to choose.
type Image struct {
	Ref
	Distro   Distro
	Platform Platform

	Summary string
	From    *Ref // nil for a base
	// Default says whether this stream carries the tag latest.
	Default bool

	Layers []Layer
	Config Config
	// Budget is the most that the compressed layers may weigh, the parent's
	// included, in bytes; zero means no budget.
	Budget int64

	// Version is the literal version of the tags. Where it is empty,
	// VersionOf names the locked package whose upstream version they carry,
	// or "release" for the distro's own release.
	Version   string
	VersionOf string

	// Digest is the sha256 of all that the recipe says for this image: the
	// expanded recipe, what it inherits and the bytes of its files.
	Digest Digest `json:"-"`
}

// Is says whether a reference means the image; without a stream it means the
// default one.
func (i *Image) Is(ref Ref) bool {
	return i.Ref == ref || i.Name == ref.Name && ref.Stream == "" && i.Default
}

// Layer is one content layer and the sources that fill it.
type Layer struct {
	Name string

	Packages []Package
	Excludes []Exclude
	// Drop takes paths out of the layer's packages.
	Drop        []Drop
	Tarballs    []Tarball
	Maven       []MavenSource
	PyPI        []PyPISource
	Go          []GoSource
	Files       []File
	Accounts    []Account
	Directories []Directory
	Links       []Link
	Generate    []string

	Pos Position `json:"-"`
}

// Package asks for a distro package: a name, or name=version.
type Package struct {
	Name string
	Pos  Position `json:"-"`
}

// Exclude leaves out a package that the closure would pull in.
type Exclude struct {
	Name   string
	Reason string
	Pos    Position `json:"-"`
}

// Placement says which entries of an archive are taken and where they go.
type Placement struct {
	// Inner, where set, is a glob that matches exactly one entry of the
	// archive: an archive itself (tar, zip), and all below speaks of that one.
	Inner string
	// Strip drops so many leading folders; Select and Drop are doublestar
	// globs on what remains, and Into is the folder that receives it.
	Strip  int
	Select []string
	Drop   []Drop
	Into   string
	// UID and GID own what lands, 0 by default. Mode, where not zero,
	// replaces the permission bits of files.
	UID, GID int
	Mode     uint32
}

// Drop takes entries out of a source. A pattern "a.jar!/b/**" reaches into
// an archive.
type Drop struct {
	Pattern string
	// Keep are globs on what the pattern matches and stays nevertheless, with
	// all that symbolic links among it lead to. Only packages have it: other
	// sources select.
	Keep   []string `json:",omitempty"` // build ids are older than the field
	Reason string
	Pos    Position `json:"-"`
}

// Tarball is an archive at a URL of its own (tar, zip or jar). Where Archive
// is set, the file is found at Path below that mirror instead. Where Release
// is set ("alpine-minirootfs"), it is that flavour of the distro's newest
// release, which resolving looks up on the mirror.
type Tarball struct {
	Name    string
	Version string
	License string
	// Supplier is who publishes it, for SBOMs; it changes no image.
	Supplier string `json:"-"`
	URL      string
	SHA256   Digest
	Archive  string
	Path     string
	Release  string
	// APKRoot marks a root file system with an installed apk database:
	// the packages that it lists count as installed.
	APKRoot bool
	Placement
	Pos Position `json:"-"`
}

// MavenSource is an artefact of a Maven repository: g:a:v[:classifier][@type].
// With Extract its entries are laid out, otherwise it lands as one file, named
// Rename where that is set.
type MavenSource struct {
	Coordinate string
	License    string
	// Supplier is who publishes it, for SBOMs; it changes no image.
	Supplier string `json:"-"`
	Extract  bool
	Rename   string
	Placement
	Pos Position `json:"-"`
}

// PyPISource is a release file of a Python project: name==version. Wheels
// land in the interpreter's site-packages; an sdist is an archive to select
// from.
type PyPISource struct {
	Requirement string
	License     string
	// Supplier is who publishes it, for SBOMs; it changes no image.
	Supplier string `json:"-"`
	SDist    bool
	Placement
	Pos Position `json:"-"`
}

// GoSource is a Go main package at a version, built through ko.
type GoSource struct {
	Package string // import path of the main package
	Module  string // module path; empty means the package itself
	Version string
	License string
	// Supplier is who publishes it, for SBOMs; it changes no image.
	Supplier string `json:"-"`
	LDFlags  []string
	Into     string // path of the binary in the image
	// GoMod and GoSum are the generated module that the program is built in,
	// from go/<program>/go.mod.txt and go.sum.txt in the recipe's folder;
	// empty where these are not written yet.
	GoMod, GoSum string   `json:",omitempty"`
	Pos          Position `json:"-"`
}

// File is a file of the recipe's own folder that lands verbatim.
type File struct {
	Path     string // in the image, without leading slash
	Source   string // below the recipe's folder
	UID, GID int
	Mode     uint32
	// SHA256 is the digest of Content.
	SHA256  Digest
	Content []byte   `json:"-"`
	Pos     Position `json:"-"`
}

// Account is a user with a group of the same name. Supplementary lists
// further groups, by name, that the user is a member of.
type Account struct {
	Name          string
	UID, GID      int
	Home, Shell   string
	Comment       string
	Supplementary []string
	Pos           Position `json:"-"`
}

// Directory is a folder that no package brings.
type Directory struct {
	Path     string
	UID, GID int
	Mode     uint32
	Pos      Position `json:"-"`
}

// Link is a symbolic link that no package brings.
type Link struct {
	Path, Target string
	Pos          Position `json:"-"`
}

// Config is what an image says of how it runs.
type Config struct {
	User        string
	Entrypoint  []string
	Cmd         []string
	Env         []Variable // sorted by name; the parent's come first
	Ports       []string   // 5432/tcp
	Volumes     []string
	WorkingDir  string
	StopSignal  string
	Healthcheck *Healthcheck
	Labels      map[string]string
}

// Variable is one environment variable of an image.
type Variable struct{ Name, Value string }

// Healthcheck is Docker's health check, which the OCI config carries too. Test
// begins with CMD, CMD-SHELL or NONE, as Docker has it.
type Healthcheck struct {
	Test                           []string
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

// Position is a place in a recipe: file, line and column count from 1.
type Position struct {
	File         string
	Line, Column int
}
