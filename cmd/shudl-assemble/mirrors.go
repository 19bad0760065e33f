package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/osv-scalibr/clients/datasource"

	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// discover finds the mirrors, with the defaults that only this package may
// know from a library.
func (a *app) discover(ctx context.Context) (fetch.Mirrors, error) {
	flags := map[string]string{}
	for _, m := range a.mirrors {
		name, address, ok := strings.Cut(m, "=")
		if !ok || address == "" {
			return nil, usage(fmt.Errorf("--mirror %s: write NAME=URL", fetch.CleanURL(m)))
		}
		flags[name] = strings.TrimSpace(flags[name] + " " + address)
	}
	mirrors, err := fetch.Discover(fetch.DiscoverOptions{Flags: flags, Defaults: defaultMirrors(ctx)})
	return mirrors, usage(err)
}

// defaultMirrors are the ecosystems' own registries, as OSV-Scalibr's clients
// know them: given no address they ask the ecosystem's, and what they would
// ask is read off before anything is sent. syft's catalogers state the same
// addresses plainly, but bring 500 packages that start with every command.
func defaultMirrors(ctx context.Context) map[string]string {
	const name = "any"
	mirrors := map[string]string{}
	asked := &askedFor{}
	client := &http.Client{Transport: asked}
	if maven, err := datasource.NewMavenRegistryAPIClient(ctx, datasource.MavenRegistry{ReleasesEnabled: true}, "", true, client, nil); err == nil {
		_, _ = maven.GetVersions(ctx, name, name)
		mirrors[fetch.Maven] = asked.below("/any/any/maven-metadata.xml")
	}
	if pypi, err := datasource.NewPyPIRegistryAPIClient("", "", client); err == nil {
		_, _ = pypi.GetIndex(ctx, name)
		mirrors[fetch.PyPI] = asked.below("/any/")
	}
	return mirrors
}

// askedFor is a transport that sends nothing and keeps what it was asked for.
type askedFor struct{ address string }

func (a *askedFor) RoundTrip(r *http.Request) (*http.Response, error) {
	a.address = r.URL.String()
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
}

// below is the address of what path was asked for below; empty where
// something else was asked.
func (a *askedFor) below(path string) string {
	base, ok := strings.CutSuffix(a.address, path)
	if !ok {
		return ""
	}
	return base
}
