package apk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// LoadOptions says which indexes to load, and whose signatures count.
type LoadOptions struct {
	// Branch is the folder below the mirror: v3.24.
	Branch string
	// Arch is Alpine's name of the architecture: x86_64, aarch64.
	Arch string
	// Repositories are folders of the branch, the preferred first; nil is
	// main and community.
	Repositories []string
	// Keyring is a folder of further public keys. All of them count.
	Keyring string
	// HostKeys are folders whose keys count where Alpine's fingerprints are
	// listed here; nil is where apk keeps them.
	HostKeys []string
}

func (o LoadOptions) repositories() []string {
	if o.Repositories == nil {
		return []string{"main", "community"}
	}
	return o.Repositories
}

// rank is the place of a locked index's repository among the preferred ones.
func (o LoadOptions) rank(l recipes.LockedIndex) int {
	list := o.repositories()
	if i := slices.Index(list, path.Base(path.Dir(path.Dir(l.Path)))); i >= 0 {
		return i
	}
	return len(list)
}

// hostKeys is where apk keeps keys on a machine that has it.
var hostKeys = [...]string{"/etc/apk/keys", "/usr/share/apk/keys"}

// maxIndexFile bounds a compressed index; the largest real one has 2 MB.
const maxIndexFile = 64 << 20

// Load fetches the newest indexes of a branch and checks their signatures.
func Load(ctx context.Context, f *fetch.Fetcher, o LoadOptions) (*Index, error) {
	if o.Branch == "" || o.Arch == "" {
		return nil, errors.New("apk: branch and architecture are required")
	}
	keys, err := o.keys(ctx, f)
	if err != nil {
		return nil, err
	}
	ix := &Index{Release: o.Branch}
	for _, repository := range o.repositories() {
		file := path.Join(o.Branch, repository, o.Arch, "APKINDEX.tar.gz")
		if err := ix.fetch(ctx, f, fetch.Request{Archive: Archive, Path: file, MaxSize: maxIndexFile}, keys); err != nil {
			return nil, err
		}
	}
	return ix, nil
}

// LoadLocked loads the very indexes that a lock was resolved from. Their
// signatures were checked when they were locked; their digests are now.
func LoadLocked(ctx context.Context, f *fetch.Fetcher, o LoadOptions, locked []recipes.LockedIndex) (*Index, error) {
	keys, err := o.keys(ctx, f)
	if err != nil {
		return nil, err
	}
	ix := &Index{Release: o.Branch}
	// The order of repositories decides between equals, whatever order the
	// lock has.
	locked = slices.Clone(locked)
	slices.SortStableFunc(locked, func(a, b recipes.LockedIndex) int { return o.rank(a) - o.rank(b) })
	for _, l := range locked {
		if l.Archive != Archive || o.Arch != "" && path.Base(path.Dir(l.Path)) != o.Arch {
			continue
		}
		r := fetch.Request{Archive: l.Archive, Path: l.Path, SHA256: l.SHA256, Size: l.Size}
		if err := ix.fetch(ctx, f, r, keys); err != nil {
			return nil, err
		}
	}
	if len(ix.Locked) == 0 {
		return nil, fmt.Errorf("the lock names no Alpine index for %s", o.Arch)
	}
	return ix, nil
}

// fetch adds one index file.
func (ix *Index) fetch(ctx context.Context, f *fetch.Fetcher, r fetch.Request, keys []Key) error {
	r.Check = func(content io.ReadSeeker) error {
		_, err := readSigned(content, keys)
		return err
	}
	got, err := f.Get(ctx, r)
	if err != nil {
		return fmt.Errorf("index of Alpine: %w", err)
	}
	file, err := f.Store.Open(ctx, got.SHA256)
	if err != nil {
		return err
	}
	defer file.Close()
	signed, err := readSigned(file, keys)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Path, err)
	}
	packages, err := ParseIndex(bytes.NewReader(signed.text), path.Dir(r.Path))
	if err != nil {
		return fmt.Errorf("%s: %w", r.Path, err)
	}
	ix.Packages = append(ix.Packages, packages...)
	ix.Descriptions = append(ix.Descriptions, signed.description)
	ix.Locked = append(ix.Locked, recipes.LockedIndex{
		Archive: r.Archive, Path: r.Path, SHA256: got.SHA256, Size: got.Size, Date: signed.date,
	})
	if signed.date.After(ix.Date) {
		ix.Date = signed.date
	}
	return nil
}

// keys gathers the keys that count: all of the keyring, Alpine's own of the
// host, and where these are not there, Alpine's own of the minirootfs.
func (o LoadOptions) keys(ctx context.Context, f *fetch.Fetcher) ([]Key, error) {
	var keys []Key
	if o.Keyring != "" {
		own, err := readKeys(o.Keyring)
		if err != nil {
			return nil, err
		}
		keys = own
	}
	folders := o.HostKeys
	if folders == nil {
		folders = hostKeys[:]
	}
	known := hasListed(keys, o.Arch)
	for _, dir := range folders {
		host, err := readKeys(dir)
		if err != nil {
			return nil, err
		}
		for _, k := range host {
			if k.Listed(o.Arch) {
				keys, known = append(keys, k), true
			}
		}
	}
	if known {
		return keys, nil
	}
	released, err := releasedKeys(ctx, f, o)
	if err != nil && len(keys) == 0 {
		return nil, fmt.Errorf("no key of Alpine's for %s on this machine, and the minirootfs, which has them, cannot be had (--keyring DIR names a folder of keys): %w", o.Arch, err)
	}
	return append(keys, released...), nil
}

func hasListed(keys []Key, arch string) bool {
	for _, k := range keys {
		if k.Listed(arch) {
			return true
		}
	}
	return false
}

// releasedKeys takes Alpine's keys out of the newest minirootfs.
func releasedKeys(ctx context.Context, f *fetch.Fetcher, o LoadOptions) ([]Key, error) {
	a, err := FindRelease(ctx, f, o.Branch, o.Arch, Minirootfs)
	if err != nil {
		return nil, err
	}
	if err := f.Artifact(ctx, a); err != nil {
		return nil, err
	}
	file, err := f.Store.Open(ctx, a.SHA256)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	found, err := keysInRoot(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Path, err)
	}
	var keys []Key
	for _, k := range found {
		if k.Listed(o.Arch) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}
