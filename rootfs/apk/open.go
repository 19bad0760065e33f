package apk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/klauspost/compress/gzip"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Contents is an opened package.
type Contents struct {
	Artifact recipes.Artifact
	// Package is what the package says of itself, with the lock's size and
	// checksum.
	Package *Package
	// Entries are its files in the archive's order, owned by its PURL.
	Entries []rootfs.Entry
	// Scripts are its maintainer scripts by name (.post-install), and
	// Triggers the folders that its trigger watches. None ever runs.
	Scripts  []Script
	Triggers []string
	// Replaces names the packages whose files this one may replace.
	Replaces []string
	License  string
}

// Script is one maintainer script.
type Script struct {
	Name string // .post-install
	Body []byte
	Time int64 // seconds since 1970, from the package
}

// ChainError says which link between lock, index, control segment and data
// segment does not hold.
type ChainError struct {
	Link      string // "lock's SHA-256 of the file", "index checksum of the control segment", …
	Want, Got string // Want is empty where the link is missing
}

// Error says what differs.
func (e *ChainError) Error() string {
	if e.Want == "" {
		return e.Link + " is missing; a package that cannot be checked is refused"
	}
	return fmt.Sprintf("%s: want %s, found %s", e.Link, e.Want, e.Got)
}

// Open reads a locked package from the store and holds every link of its
// chain: the lock's SHA-256 of the file, the index's checksum of the control
// segment, and the control segment's digest of the data.
func Open(ctx context.Context, s *fetch.Store, a recipes.Artifact) (*Contents, error) {
	c, err := open(ctx, s, a)
	if err != nil {
		return nil, fmt.Errorf("package %s-%s (%s): %w", a.Name, a.Version, a.Path, err)
	}
	return c, nil
}

func open(ctx context.Context, s *fetch.Store, a recipes.Artifact) (*Contents, error) {
	if a.SHA256 == "" {
		return nil, &ChainError{Link: "the lock's SHA-256 of the file"}
	}
	p, err := partsOf(ctx, s, a.SHA256)
	if err != nil {
		return nil, err
	}
	info, err := p.check(a)
	if err != nil {
		return nil, err
	}
	entries, err := archive.Tar(ctx, s, "apk data "+string(a.SHA256), func() (io.ReadCloser, error) {
		return openData(ctx, s, a.SHA256, p.Data)
	}, archive.Limits{})
	if err != nil {
		return nil, err
	}
	return contents(a, info, p.Control, entries), nil
}

// check holds the control and data segments to lock and index.
func (p *parts) check(a recipes.Artifact) (*info, error) {
	const control, data = "the index's checksum of the control segment", "the control segment's SHA-256 of the data (datahash)"
	if a.Checksum == "" {
		return nil, &ChainError{Link: control}
	}
	want, err := parseQ1(a.Checksum)
	if err != nil {
		return nil, err
	}
	if want != p.SHA1 {
		return nil, &ChainError{control, a.Checksum, writeQ1(p.SHA1[:])}
	}
	var text []byte
	for _, f := range p.Control {
		if f.Name == ".PKGINFO" {
			text = f.Body
		}
	}
	if text == nil {
		return nil, errors.New("there is no .PKGINFO in the control segment")
	}
	i, err := parseInfo(string(text))
	if err != nil {
		return nil, err
	}
	if i.dataHash != p.SHA256 {
		return nil, &ChainError{data, i.dataHash, p.SHA256}
	}
	if i.Name != a.Name || i.Version != a.Version {
		return nil, fmt.Errorf("the file is %s-%s", cut(i.Name), cut(i.Version))
	}
	i.Checksum, i.Size = a.Checksum, a.Size
	// An index gives every package its own architecture, noarch ones too, and
	// apk records what the index says.
	if purl, err := url.Parse(a.PURL); err == nil && purl.Query().Get("arch") != "" {
		i.Arch = purl.Query().Get("arch")
	}
	return i, i.Package.check()
}

// openData opens the data segment of a package in the store as a tar stream.
func openData(ctx context.Context, s *fetch.Store, d recipes.Digest, offset int64) (io.ReadCloser, error) {
	file, err := s.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		file.Close()
		return nil, err
	}
	stream, err := gzip.NewReader(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("data segment: %w", noEOF(err))
	}
	return &dataStream{stream, file}, nil
}

// dataStream is a decompressor that closes its file.
type dataStream struct {
	*gzip.Reader
	file *os.File
}

// Close ends both.
func (d *dataStream) Close() error {
	return errors.Join(d.Reader.Close(), d.file.Close())
}

func contents(a recipes.Artifact, i *info, control []Script, entries []rootfs.Entry) *Contents {
	c := &Contents{
		Artifact: a, Package: &i.Package, Entries: entries,
		Triggers: i.triggers, License: i.License,
	}
	for n := range c.Entries {
		c.Entries[n].Owner = a.PURL
	}
	for _, f := range control {
		if isScript(f.Name) {
			c.Scripts = append(c.Scripts, f)
		}
	}
	for _, d := range i.Replaces {
		c.Replaces = append(c.Replaces, d.Name)
	}
	return c
}
