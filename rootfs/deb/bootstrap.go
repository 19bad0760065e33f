package deb

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// keyringPackage is the package that carries the archive's public keys.
const keyringPackage = "debian-archive-keyring"

// findKeys collects public keys: the user's folder, the host's, and where
// none is there, those in debian-archive-keyring on the mirror.
func findKeys(ctx context.Context, f *fetch.Fetcher, o LoadOptions) (Keyring, error) {
	keys, err := ReadKeyrings(o.Keyring)
	if err != nil || len(keys.keys) > 0 {
		return keys, err
	}
	keys, err = keysFromMirror(ctx, f, o)
	if err != nil {
		return keys, fmt.Errorf("no public key of the Debian archive is known here, and none could be had from the mirror (give --keyring DIR): %w", err)
	}
	return keys, nil
}

// keysFromMirror takes the archive's keys out of debian-archive-keyring. What
// leads to that package is not verified yet, and need not be: a key counts
// only by its fingerprint, which is written down in this program, and all
// that was read on the way here is forgotten.
func keysFromMirror(ctx context.Context, f *fetch.Fetcher, o LoadOptions) (Keyring, error) {
	var k Keyring
	s := o.Suites[0]
	list, err := f.Get(ctx, fetch.Request{
		Archive: s.Archive, Path: "dists/" + s.Name + "/main/binary-" + o.Arch + "/Packages.xz", MaxSize: maxPackages,
	})
	if err != nil {
		return k, err
	}
	file, err := f.Store.Open(ctx, list.SHA256)
	if err != nil {
		return k, err
	}
	defer file.Close()
	var found *Package
	err = readList(file, o.Arch, func(p *Package, _ paragraph) {
		if p.Name == keyringPackage {
			p.Archive = s.Archive
			found = p
		}
	})
	if err != nil {
		return k, err
	}
	if found == nil {
		return k, fmt.Errorf("the mirror has no package %s", keyringPackage)
	}
	a := found.Artifact("")
	if err := f.Artifact(ctx, a); err != nil {
		return k, err
	}
	c, err := Open(ctx, f.Store, a)
	if err != nil {
		return k, err
	}
	for _, e := range c.Entries {
		if err := k.addEntry(ctx, e); err != nil {
			return k, err
		}
	}
	if len(k.keys) == 0 {
		return k, fmt.Errorf("%s %s holds none of the keys %s", a.Name, a.Version, listedFingerprints())
	}
	return k, nil
}

// addEntry adds the listed keys of a package's keyring file.
func (k *Keyring) addEntry(ctx context.Context, e rootfs.Entry) error {
	folder := strings.HasPrefix(e.Path, "usr/share/keyrings/") || strings.HasPrefix(e.Path, "etc/apt/trusted.gpg.d/")
	if !folder || e.Type != rootfs.Regular || e.Size > maxKeyring || !isKeyring(e.Path) {
		return nil
	}
	r, err := e.Content.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	// A file that is no keyring adds nothing.
	_ = k.add(data, archiveKeys())
	return nil
}

func listedFingerprints() string {
	return strings.Join(slices.Sorted(maps.Keys(archiveKeys())), ", ")
}
