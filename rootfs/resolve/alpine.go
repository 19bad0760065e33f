package resolve

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/apk"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// alpine is a branch of Alpine for one architecture.
type alpine struct {
	*job
	index *apk.Index
}

func (j *job) openAlpine(ctx context.Context, p recipes.Platform, locked []recipes.LockedIndex) (world, error) {
	o := apk.LoadOptions{Branch: j.Release, Arch: p.APK(), Keyring: j.Keyring}
	if locked == nil {
		index, err := apk.Load(ctx, j.Fetcher, o)
		return &alpine{j, index}, err
	}
	mine := slices.DeleteFunc(slices.Clone(locked), func(l recipes.LockedIndex) bool {
		return !strings.Contains(l.Path, "/"+p.APK()+"/")
	})
	if len(mine) == 0 {
		return nil, &missingError{p}
	}
	o.Branch = j.old.Release
	index, err := apk.LoadLocked(ctx, j.Fetcher, o, mine)
	return &alpine{j, index}, err
}

func (a *alpine) about() about {
	return about{a.index.Release, a.index.Date, a.index.Locked}
}

func (a *alpine) learn(ctx context.Context, packages []recipes.Artifact) error {
	for _, p := range packages {
		if p.Kind != recipes.KindAPK || !strings.HasSuffix(p.Path, ".apk") || a.index.Has(p.Name, p.Version) {
			continue
		}
		if err := a.Kept.Artifact(ctx, p); err != nil {
			return unknown(p, err)
		}
		contents, err := apk.Open(ctx, a.Kept.Store, p)
		if err != nil {
			return err
		}
		a.index.Add(contents.Package)
	}
	return nil
}

// add resolves a layer's packages as apk add does. On a root tarball, newer
// versions of what it holds replace it; what stays is locked with the
// tarball's own place, since no other file brings it.
func (a *alpine) add(ctx context.Context, w wish) ([]recipes.Artifact, error) {
	request := apk.Request{Roots: w.layer.Packages, Held: w.held, Exclude: w.exclude}
	fresh := map[string]recipes.Artifact{} // the tarballs of this layer's root packages
	for _, r := range w.roots {
		db, err := a.database(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("root %s: %w", r.source.Name, err)
		}
		request.Installed = append(request.Installed, db.Packages()...)
		if !r.own {
			continue
		}
		request.World, request.Upgrade = append(request.World, db.World...), true
		for _, p := range db.Packages() {
			fresh[p.Name] = r.artifact
		}
	}
	solution, err := a.index.Solve(request)
	if err != nil {
		return nil, err
	}
	var out []recipes.Artifact
	for _, c := range solution.Changes {
		switch {
		case c.New == nil:
			return nil, fmt.Errorf("package %s of the root would be removed: name it, or what needs it, in the recipe", c.Old.ID())
		case c.Old == nil || c.Old.ID() != c.New.ID() || c.Old.Checksum != c.New.Checksum:
			out = append(out, c.New.Artifact(w.layer.Name))
		}
	}
	for _, p := range solution.Installed {
		tarball, inRoot := fresh[p.Name]
		if !inRoot || slices.ContainsFunc(out, func(o recipes.Artifact) bool { return o.Name == p.Name }) {
			continue
		}
		locked := p.Artifact(w.layer.Name)
		locked.Size, locked.SHA256, locked.Archive, locked.Path = tarball.Size, tarball.SHA256, tarball.Archive, tarball.Path
		out = append(out, locked)
	}
	return out, nil
}

// database reads what a root tarball has installed.
func (a *alpine) database(ctx context.Context, r root) (*apk.Database, error) {
	return once(&a.memo, "root "+string(r.artifact.SHA256), func() (*apk.Database, error) {
		if err := a.Fetcher.Artifact(ctx, r.artifact); err != nil {
			return nil, err
		}
		entries, err := archive.Expand(ctx, a.Fetcher.Store, r.artifact.SHA256, r.artifact.Name, archive.Limits{})
		if err != nil {
			return nil, err
		}
		placed, _, err := archive.Place(entries, r.source.Placement)
		if err != nil {
			return nil, err
		}
		return apk.ReadDatabase(ctx, apk.Among(placed))
	})
}

// complete fetches a package, since Alpine's index has no sha256, and opens
// it: every link of its chain must hold, and every script be known.
func (a *alpine) complete(ctx context.Context, locked recipes.Artifact) (recipes.Artifact, error) {
	if !strings.HasSuffix(locked.Path, ".apk") {
		return locked, nil // inside a root tarball
	}
	got, err := a.Fetcher.Get(ctx, fetch.Request{Archive: locked.Archive, Path: locked.Path, Size: locked.Size})
	if err != nil {
		return locked, err
	}
	locked.SHA256 = got.SHA256
	contents, err := apk.Open(ctx, a.Fetcher.Store, locked)
	if err != nil {
		return locked, err
	}
	return locked, apk.CheckScripts(contents)
}
