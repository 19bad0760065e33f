package deb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/therootcompany/xz"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Limits of index files, in bytes, and of a Packages file once unpacked.
const (
	maxInRelease = 8 << 20
	maxPackages  = 256 << 20
	maxUnpacked  = 2 << 30
)

// Suite is one suite of an archive.
type Suite struct {
	Archive string // debian or debian-security
	Name    string // trixie, trixie-security
	// Components are main where none is named.
	Components []string
}

func (s Suite) components() []string {
	if len(s.Components) == 0 {
		return []string{"main"}
	}
	return s.Components
}

// DefaultSuites are the suites of a release, by codename: the release
// itself, its updates and its security updates.
func DefaultSuites(codename string) []Suite {
	return []Suite{
		{Archive: fetch.Debian, Name: codename},
		{Archive: fetch.Debian, Name: codename + "-updates"},
		{Archive: fetch.DebianSecurity, Name: codename + "-security"},
	}
}

// LoadOptions say which package lists are wanted. The zero value is trixie
// with its updates for amd64, now.
type LoadOptions struct {
	Suites []Suite
	// Arch is Debian's name of the architecture: amd64, arm64.
	Arch string
	// Keyring is a folder with more public keys than the archive's own.
	Keyring string
	Now     time.Time
	// Snapshot marks mirrors that keep the past: Valid-Until is not held.
	Snapshot bool
}

func (o LoadOptions) withDefaults() LoadOptions {
	if len(o.Suites) == 0 {
		o.Suites = DefaultSuites("trixie")
	}
	if o.Arch == "" {
		o.Arch = "amd64"
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	return o
}

// Load fetches and verifies the package lists of some suites and merges
// them. Each InRelease must be signed by a known key, be of the wanted suite
// and not be expired; each list must have the size and sha256 that it says.
func Load(ctx context.Context, f *fetch.Fetcher, o LoadOptions) (*Index, error) {
	o = o.withDefaults()
	keys, err := findKeys(ctx, f, o)
	if err != nil {
		return nil, err
	}
	ix := &Index{Arch: o.Arch, universe: newUniverse(o.Arch)}
	for _, s := range o.Suites {
		r, err := loadRelease(ctx, f, s, o, keys)
		if err != nil {
			return nil, fmt.Errorf("suite %s: %w", s.Name, err)
		}
		if ix.Release == "" {
			ix.Release = r.Version
		}
		if r.Date.After(ix.Date) {
			ix.Date = r.Date
		}
		for _, component := range s.components() {
			l, err := listOf(s, component, o.Arch, r)
			if err != nil {
				return nil, fmt.Errorf("suite %s: %w", s.Name, err)
			}
			if err := ix.list(ctx, f, l, s.Name); err != nil {
				return nil, fmt.Errorf("suite %s: %w", s.Name, err)
			}
		}
	}
	return ix, nil
}

// LoadLocked reads the very lists that a lock was resolved from, by their
// sha256; release is the lock's. It fails where no mirror has them any more.
func LoadLocked(ctx context.Context, f *fetch.Fetcher, arch, release string, locked []recipes.LockedIndex) (*Index, error) {
	ix := &Index{Arch: arch, Release: release, universe: newUniverse(arch)}
	for _, l := range locked {
		if !strings.Contains(l.Path, "/binary-"+arch+"/") {
			continue // another platform's
		}
		if l.Date.After(ix.Date) {
			ix.Date = l.Date
		}
		if err := ix.list(ctx, f, l, suiteOf(l.Path)); err != nil {
			return nil, err
		}
	}
	if len(ix.Locked) == 0 {
		return nil, fmt.Errorf("the lock names no package list for %s", arch)
	}
	return ix, nil
}

// suiteOf gives trixie of dists/trixie/main/….
func suiteOf(list string) string {
	parts := strings.Split(list, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// loadRelease fetches a suite's InRelease. A mirror whose file does not pass
// is passed over; which one passes does not matter afterwards, since all else
// is held to what was signed.
func loadRelease(ctx context.Context, f *fetch.Fetcher, s Suite, o LoadOptions, keys Keyring) (*Release, error) {
	check := ReleaseCheck{Keyring: keys, Suite: s.Name, Now: o.Now, Snapshot: o.Snapshot}
	read := func(r io.Reader) (*Release, error) {
		data, err := io.ReadAll(io.LimitReader(r, maxInRelease))
		if err != nil {
			return nil, err
		}
		rel, err := ReadInRelease(data, check)
		if err != nil {
			return nil, fmt.Errorf("InRelease of %s: %w", s.Name, err)
		}
		return rel, nil
	}
	res, err := f.Get(ctx, fetch.Request{
		Archive: s.Archive, Path: "dists/" + s.Name + "/InRelease", MaxSize: maxInRelease,
		Check: func(content io.ReadSeeker) error { _, err := read(content); return err },
	})
	if err != nil {
		return nil, err
	}
	file, err := f.Store.Open(ctx, res.SHA256)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return read(file)
}

// listOf finds the package list of a component in a Release file.
func listOf(s Suite, component, arch string, r *Release) (recipes.LockedIndex, error) {
	name := component + "/binary-" + arch + "/Packages.xz"
	want, ok := r.Files[name]
	if !ok {
		return recipes.LockedIndex{}, fmt.Errorf("InRelease lists no %s: is there no such component or architecture?", name)
	}
	return recipes.LockedIndex{Archive: s.Archive, Path: "dists/" + s.Name + "/" + name, SHA256: want.SHA256, Size: want.Size, Date: r.Date}, nil
}

// list fetches a package list, reads it and remembers it.
func (ix *Index) list(ctx context.Context, f *fetch.Fetcher, l recipes.LockedIndex, suite string) error {
	if l.Size > maxPackages {
		return fmt.Errorf("%s has %d bytes, more than %d", l.Path, l.Size, maxPackages)
	}
	if _, err := f.Get(ctx, fetch.Request{Archive: l.Archive, Path: l.Path, SHA256: l.SHA256, Size: l.Size}); err != nil {
		return err
	}
	file, err := f.Store.Open(ctx, l.SHA256)
	if err != nil {
		return err
	}
	defer file.Close()
	err = readList(file, ix.Arch, func(p *Package, para paragraph) {
		p.Archive, p.Suite, p.release = l.Archive, suite, ix.Release
		ix.universe.add(p, para)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", l.Path, err)
	}
	ix.Locked = append(ix.Locked, l)
	return nil
}

// readList reads a Packages.xz.
func readList(r io.Reader, arch string, add func(*Package, paragraph)) error {
	x, err := xz.NewReader(r, xz.DefaultDictMax)
	if err != nil {
		return err
	}
	limited := &io.LimitedReader{R: x, N: maxUnpacked}
	if err := readPackages(limited, arch, add); err != nil {
		return err
	}
	if limited.N == 0 {
		return errors.New("unpacks to more than 2 GiB")
	}
	return nil
}
