package apk

import (
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

// Package is one entry of an APKINDEX or of an installed database.
type Package struct {
	Name, Version, Arch string
	// Checksum is "Q1" and the base64 SHA-1 of the control segment.
	Checksum      string
	Size          int64 // of the .apk file, in bytes
	InstalledSize int64
	Description   string
	URL           string
	License       string
	Origin        string // source package
	Maintainer    string
	Commit        string
	BuildTime     time.Time

	Depends, Provides, InstallIf, Replaces []Dependency
	// ProviderPriority chooses among packages that provide a name without
	// version; ReplacesPriority among packages that bring the same file.
	ProviderPriority, ReplacesPriority int

	// Repository is the folder of the index below the mirror, such as
	// v3.24/main/x86_64; empty for a package that was only installed.
	Repository string
}

// ID is name-version, as apk prints it.
func (p *Package) ID() string { return p.Name + "-" + p.Version }

// File is the package's path below the mirror.
func (p *Package) File() string {
	return path.Join(p.Repository, p.ID()+".apk")
}

// PURL is the package's URL of https://github.com/package-url/purl-spec.
func (p *Package) PURL() string {
	purl := "pkg:apk/alpine/" + url.PathEscape(p.Name) + "@" + escapeVersion(p.Version) + "?arch=" + p.Arch
	if p.Origin != "" && p.Origin != p.Name {
		purl += "&upstream=" + url.QueryEscape(p.Origin)
	}
	return purl
}

func escapeVersion(v string) string {
	return strings.ReplaceAll(url.PathEscape(v), "+", "%2B")
}

// Artifact is the package as the lock names it, for one layer. Its SHA256 is
// empty: the index has none, so locking downloads the file.
func (p *Package) Artifact(layer string) recipes.Artifact {
	return recipes.Artifact{
		Layer: layer, Kind: recipes.KindAPK, Name: p.Name, Version: p.Version,
		PURL: p.PURL(), Size: p.Size, Checksum: p.Checksum,
		License: p.License, Origin: p.Origin, Archive: Archive, Path: p.File(),
	}
}
