package collect

import (
	"context"
	"fmt"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/apk"
	"github.com/shudl/shudl-assemble/rootfs/archive"
)

// inRoot tells a package that came inside a root tarball from one with a
// file of its own: its place in the lock is the tarball's.
func inRoot(a recipes.Artifact) bool {
	return a.Kind == recipes.KindAPK && !strings.HasSuffix(a.Path, ".apk")
}

// roots lays out root tarballs such as Alpine's minirootfs. Each file belongs
// to the package that the tarball's database names; files of packages of
// which the lock has another version are left to that.
func (c *collector) roots(ctx context.Context) error {
	for _, src := range c.layer.Tarballs {
		if !src.APKRoot {
			continue
		}
		if err := c.root(ctx, src); err != nil {
			return fmt.Errorf("root %s: %w", src.Name, err)
		}
	}
	return nil
}

func (c *collector) root(ctx context.Context, src recipes.Tarball) error {
	a, err := c.artifact(recipes.KindTarball, src.Name, "")
	if err != nil {
		return err
	}
	entries, db, err := c.openRoot(ctx, a, src)
	if err != nil {
		return err
	}
	stale := map[string]bool{}
	for _, p := range c.artifacts(recipes.KindAPK) {
		if inRoot(p) {
			continue
		}
		for _, path := range db.Remove(p.Name) {
			stale[path] = true
		}
	}
	owner := map[string]string{}
	for _, r := range db.Records {
		for _, f := range r.Files() {
			owner[f.Path] = r.PURL()
		}
	}
	for _, e := range entries {
		e.Owner = owner[e.Path]
		switch {
		case e.Owner == "" && (stale[e.Path] || databaseFile(e, db) || appletLink(e)):
			continue // comes with the new package, or is written anew as state
		case e.Owner == "":
			e.Owner = a.PURL
		}
		if err := c.out.Tree.Add(e); err != nil {
			return err
		}
	}
	return nil
}

// databaseFile tells the files of apk's database, which the state layer has.
func databaseFile(e rootfs.Entry, db *apk.Database) bool {
	return e.Type != rootfs.Directory && (strings.HasPrefix(e.Path, db.Folder+"/") || e.Path == "etc/apk/world")
}

// appletLink tells the links that busybox made when the root was packed; a
// generator makes them anew, where no package has a program of that name.
func appletLink(e rootfs.Entry) bool {
	return e.Type == rootfs.Symlink && e.Link == "/bin/busybox"
}

// openRoot expands a root tarball and reads the database that is in it.
func (in Input) openRoot(ctx context.Context, a recipes.Artifact, src recipes.Tarball) ([]rootfs.Entry, *apk.Database, error) {
	entries, err := archive.Expand(ctx, in.Store, a.SHA256, a.Name, archive.Limits{})
	if err != nil {
		return nil, nil, err
	}
	placed, _, err := archive.Place(entries, src.Placement)
	if err != nil {
		return nil, nil, err
	}
	keepRights(placed, entries)
	db, err := apk.ReadDatabase(ctx, apk.Among(placed))
	return placed, db, err
}

// keepRights gives the entries of a root the owners and modes that its archive
// has: they are the packages' own, as for tmp and etc/shadow.
func keepRights(placed, packed []rootfs.Entry) {
	packedAt := map[string]rootfs.Entry{}
	for _, e := range packed {
		packedAt[e.Path] = e
	}
	for i, e := range placed {
		if old, ok := packedAt[e.Path]; ok {
			placed[i].Mode, placed[i].UID, placed[i].GID = old.Mode, old.UID, old.GID
		}
	}
}

// apkDatabase writes the installed database with the image's packages, the
// world with what its recipe asks for, and the scripts that apk keeps.
func (s *stater) apkDatabase(ctx context.Context, packages []*apk.Contents) ([]rootfs.Entry, error) {
	if s.Image.Distro != recipes.Alpine {
		return nil, nil
	}
	db, err := s.startDatabase(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		if err := db.Add(p, s.holds); err != nil {
			return nil, err
		}
	}
	for _, l := range s.Image.Layers {
		for _, p := range l.Packages {
			if err := db.Want(p.Name); err != nil {
				return nil, err
			}
		}
	}
	entries, err := db.Entries()
	for i := range entries {
		entries[i].Owner = "recipe:" + s.Image.Name + "/packages"
	}
	return entries, err
}

// startDatabase is the parent's database; below a base it is the root's.
func (s *stater) startDatabase(ctx context.Context) (*apk.Database, error) {
	for _, l := range s.Image.Layers {
		for _, src := range l.Tarballs {
			if !src.APKRoot {
				continue
			}
			c := collector{Input: s.Input, layer: l}
			a, err := c.artifact(recipes.KindTarball, src.Name, "")
			if err != nil {
				return nil, err
			}
			_, db, err := s.openRoot(ctx, a, src)
			return db, err
		}
	}
	return apk.ReadDatabase(ctx, func(path string) (rootfs.Content, bool) {
		e, ok := s.tree.Follow(path)
		return e.Content, ok && e.Type == rootfs.Regular
	})
}

// holds tells whether the image has a file as its package brought it.
func (s *stater) holds(e rootfs.Entry) bool {
	old, ok := s.tree.Lookup(e.Path)
	if !ok {
		// The path may lead through a link such as lib → usr/lib.
		old, ok = s.tree.Follow(e.Path)
	}
	return ok && old.Owner == e.Owner && (e.Type == rootfs.Hardlink || old.SHA256 == e.SHA256)
}
