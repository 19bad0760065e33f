package resolve

import (
	"context"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/deb"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// debian is a release of Debian with its security suite for one architecture.
type debian struct {
	*job
	index *deb.Index
}

// suites of a Debian release that images are made from.
func suites(release string) []deb.Suite {
	return []deb.Suite{
		{Archive: fetch.Debian, Name: release},
		{Archive: fetch.DebianSecurity, Name: release + "-security"},
	}
}

func (j *job) openDebian(ctx context.Context, p recipes.Platform, locked []recipes.LockedIndex) (world, error) {
	if locked == nil {
		index, err := deb.Load(ctx, j.Fetcher, deb.LoadOptions{Suites: suites(j.Release), Arch: p.Deb(), Keyring: j.Keyring, Now: j.Now})
		return &debian{j, index}, err
	}
	mine := slices.DeleteFunc(slices.Clone(locked), func(l recipes.LockedIndex) bool {
		return !strings.Contains(l.Path, "/binary-"+p.Deb()+"/")
	})
	if len(mine) == 0 {
		return nil, &missingError{p}
	}
	index, err := deb.LoadLocked(ctx, j.Fetcher, p.Deb(), j.old.Release, mine)
	return &debian{j, index}, err
}

func (d *debian) about() about {
	return about{d.index.Release, d.index.Date, d.index.Locked}
}

func (d *debian) learn(ctx context.Context, packages []recipes.Artifact) error {
	for _, a := range packages {
		if a.Kind != recipes.KindDeb || d.index.Has(a.Name, a.Version) {
			continue
		}
		if err := d.Kept.Artifact(ctx, a); err != nil {
			return unknown(a, err)
		}
		contents, err := deb.Open(ctx, d.Kept.Store, a)
		if err != nil {
			return err
		}
		if err := d.index.Add(contents.Control, a); err != nil {
			return err
		}
	}
	return nil
}

// add resolves a layer's packages as apt-get does without recommendations.
func (d *debian) add(_ context.Context, w wish) ([]recipes.Artifact, error) {
	packages, err := d.index.Resolve(deb.Request{Roots: w.layer.Packages, Held: w.held, Exclude: w.exclude})
	if err != nil {
		return nil, err
	}
	out := make([]recipes.Artifact, len(packages))
	for i, p := range packages {
		out[i] = p.Artifact(w.layer.Name)
	}
	return out, nil
}

// complete opens a package: its licence stands in its copyright file, and
// every maintainer script must be known.
func (d *debian) complete(ctx context.Context, a recipes.Artifact) (recipes.Artifact, error) {
	if err := d.Fetcher.Artifact(ctx, a); err != nil {
		return a, err
	}
	contents, err := deb.Open(ctx, d.Fetcher.Store, a)
	if err != nil {
		return a, err
	}
	if a.License, err = contents.License(ctx); err != nil {
		return a, err
	}
	return a, deb.CheckScripts(contents)
}
