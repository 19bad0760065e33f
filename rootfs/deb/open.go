package deb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/package-url/packageurl-go"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Contents is an opened package.
type Contents struct {
	// Artifact is what it was opened as.
	Artifact recipes.Artifact
	Name     string
	Version  string
	// Source is the source package it was built from.
	Source string
	// Entries are the files of the data part as they are in it; Owner is the
	// artefact's purl.
	Entries []rootfs.Entry
	controlFiles
	// Replaces names the packages whose files this one may overwrite.
	Replaces []string
}

// Open reads a package of the store and holds it to its artefact: name,
// version and architecture must be the locked ones.
func Open(ctx context.Context, s *fetch.Store, a recipes.Artifact) (*Contents, error) {
	c, err := open(ctx, s, a)
	if err != nil {
		return nil, fmt.Errorf("open %s %s (%s): %w", a.Name, a.Version, a.Path, err)
	}
	return c, nil
}

func open(ctx context.Context, s *fetch.Store, a recipes.Artifact) (*Contents, error) {
	control, err := controlOf(ctx, s, a.SHA256)
	if err != nil {
		return nil, err
	}
	c := &Contents{Artifact: a, controlFiles: *control}
	if err := c.identify(); err != nil {
		return nil, err
	}
	c.Entries, err = archive.Tar(ctx, s, "deb:"+string(a.SHA256), func() (io.ReadCloser, error) { return openData(ctx, s, a.SHA256) }, archive.Limits{})
	if err != nil {
		return nil, fmt.Errorf("data part: %w", err)
	}
	// The root folder itself is nobody's.
	c.Entries = slices.DeleteFunc(c.Entries, func(e rootfs.Entry) bool { return e.Path == "." || e.Path == "" })
	for i := range c.Entries {
		c.Entries[i].Owner = a.PURL
	}
	return c, nil
}

func partsOf(f *os.File) (control, data member, err error) {
	info, err := f.Stat()
	if err != nil {
		return control, data, err
	}
	members, err := readAr(f, info.Size())
	if err != nil {
		return control, data, err
	}
	return parts(members)
}

// openData opens the data part as an uncompressed tar stream.
func openData(ctx context.Context, s *fetch.Store, d recipes.Digest) (io.ReadCloser, error) {
	f, err := s.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	_, data, err := partsOf(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	r, err := archive.Reader(data)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &closing{r, f}, nil
}

// closing is a stream that closes the file below it too.
type closing struct {
	io.ReadCloser
	file io.Closer
}

func (c *closing) Close() error { return errors.Join(c.ReadCloser.Close(), c.file.Close()) }

// identify reads the control paragraph and holds it to the artefact.
func (c *Contents) identify() error {
	r := newControlReader(bytes.NewReader(c.Control))
	p, err := r.next()
	if err != nil {
		return fmt.Errorf("control paragraph: %w", err)
	}
	c.Name, c.Version = p.get("Package"), p.get("Version")
	if !validName(c.Name) {
		return fmt.Errorf("%q is no package name", c.Name)
	}
	if c.Name != c.Artifact.Name || c.Version != c.Artifact.Version {
		return fmt.Errorf("it is %s %s, not what is locked", c.Name, c.Version)
	}
	purl, err := packageurl.FromString(c.Artifact.PURL)
	if err != nil {
		return fmt.Errorf("purl %q: %w", c.Artifact.PURL, err)
	}
	if want := purl.Qualifiers.Map()["arch"]; p.get("Architecture") != want {
		return fmt.Errorf("it is for %s, not %s as locked", p.get("Architecture"), want)
	}
	c.Source, _ = sourceOf(p.get("Source"), c.Name, c.Version)
	replaces, err := parseRelations(p.get("Replaces"))
	if err != nil {
		return fmt.Errorf("field Replaces: %w", err)
	}
	for _, r := range replaces {
		for _, a := range r {
			c.Replaces = append(c.Replaces, a.name)
		}
	}
	return nil
}
