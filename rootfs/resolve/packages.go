package resolve

import (
	"context"
	"fmt"
	"slices"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/apk"
	"github.com/shudl/shudl-assemble/rootfs/deb"
)

// Packages gives what packages pull into an empty root: one name=version each,
// sorted. Names are those of apk add, or of apt-get install without
// recommendations. Of the options only Exclude and those that say where indexes lie count.
func Packages(ctx context.Context, names []string, d recipes.Distro, p recipes.Platform, o Options) ([]string, error) {
	roots := make([]recipes.Package, len(names))
	for i, name := range names {
		roots[i] = recipes.Package{Name: name}
	}
	if o.Release == "" {
		o.Release = DefaultRelease(d)
	}
	var found []string
	var err error
	if d == recipes.Alpine {
		found, err = apkPackages(ctx, roots, p, o)
	} else {
		found, err = debPackages(ctx, roots, p, o)
	}
	if err != nil {
		return nil, fmt.Errorf("resolving on %s %s: %w", d, o.Release, err)
	}
	slices.Sort(found)
	return found, nil
}

func apkPackages(ctx context.Context, roots []recipes.Package, p recipes.Platform, o Options) ([]string, error) {
	index, err := apk.Load(ctx, o.Fetcher, apk.LoadOptions{Branch: o.Release, Arch: p.APK(), Keyring: o.Keyring})
	if err != nil {
		return nil, err
	}
	packages, err := index.Resolve(apk.Request{Roots: roots, Exclude: o.Exclude})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, one := range packages {
		found = append(found, one.Name+"="+one.Version)
	}
	return found, nil
}

func debPackages(ctx context.Context, roots []recipes.Package, p recipes.Platform, o Options) ([]string, error) {
	index, err := deb.Load(ctx, o.Fetcher, deb.LoadOptions{Suites: suites(o.Release), Arch: p.Deb(), Keyring: o.Keyring, Now: o.Now})
	if err != nil {
		return nil, err
	}
	packages, err := index.Resolve(deb.Request{Roots: roots, Exclude: o.Exclude})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, one := range packages {
		found = append(found, one.Name+"="+one.Version)
	}
	return found, nil
}
