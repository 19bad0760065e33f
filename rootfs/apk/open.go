package apk

import (
	"context"
	"crypto/sha1" // apk's own link between index and package
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

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

// parts is where the segments of a package file are, and what they hold.
type parts struct {
	control []small
	// sha1 is of the control segment's compressed bytes.
	sha1 [sha1.Size]byte
	// data is the offset of the data segment and sha256 its digest.
	data   int64
	sha256 string
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
	file, err := s.Open(ctx, a.SHA256)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p, err := split(file)
	if err != nil {
		return nil, err
	}
	info, err := p.check(a)
	if err != nil {
		return nil, err
	}
	entries, err := archive.Tar(ctx, s, "apk data "+string(a.SHA256), func() (io.ReadCloser, error) {
		return openData(ctx, s, a.SHA256, p.data)
	}, archive.Limits{})
	if err != nil {
		return nil, err
	}
	return contents(a, info, p.control, entries), nil
}

// split reads a package file once and finds its segments. The file is not
// expanded beyond its control segment.
func split(file io.ReadSeeker) (*parts, error) {
	counted := &counter{r: file}
	s, err := newSegments(counted)
	if err != nil {
		return nil, err
	}
	p := &parts{}
	for i := 0; ; i++ {
		sum := sha1.New()
		segment, err := s.next(sum)
		if err != nil {
			return nil, err
		}
		list, err := files(segment)
		if err != nil {
			return nil, fmt.Errorf("control segment: %w", err)
		}
		if i == 0 && len(list) > 0 && strings.HasPrefix(list[0].name, signAny) {
			if _, err := signatures(list); err != nil {
				return nil, err
			}
			continue
		}
		p.control = list
		copy(p.sha1[:], sum.Sum(nil))
		break
	}
	p.data = counted.n - int64(s.raw.r.Buffered())
	sum := sha256.New()
	n, err := io.Copy(sum, s.raw.r)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("the file ends before the data segment: %w", io.ErrUnexpectedEOF)
	}
	p.sha256 = hex.EncodeToString(sum.Sum(nil))
	return p, nil
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
	if want != p.sha1 {
		return nil, &ChainError{control, a.Checksum, writeQ1(p.sha1[:])}
	}
	var text []byte
	for _, f := range p.control {
		if f.name == ".PKGINFO" {
			text = f.data
		}
	}
	if text == nil {
		return nil, errors.New("there is no .PKGINFO in the control segment")
	}
	i, err := parseInfo(string(text))
	if err != nil {
		return nil, err
	}
	if i.dataHash != p.sha256 {
		return nil, &ChainError{data, i.dataHash, p.sha256}
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

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func contents(a recipes.Artifact, i *info, control []small, entries []rootfs.Entry) *Contents {
	c := &Contents{
		Artifact: a, Package: &i.Package, Entries: entries,
		Triggers: i.triggers, License: i.License,
	}
	for n := range c.Entries {
		c.Entries[n].Owner = a.PURL
	}
	for _, f := range control {
		if isScript(f.name) {
			c.Scripts = append(c.Scripts, Script{f.name, f.data, f.ModTime.Unix()})
		}
	}
	for _, d := range i.Replaces {
		c.Replaces = append(c.Replaces, d.Name)
	}
	return c
}
