package main

import (
	"strings"

	"github.com/anchore/syft/syft/pkg/cataloger/java"
	"github.com/anchore/syft/syft/pkg/cataloger/python"

	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// defaultMirrors are the ecosystems' own registries as syft knows them. Only
// this package imports syft's catalogers: they bring a thousand packages.
func defaultMirrors() map[string]string {
	maven, _, _ := strings.Cut(java.DefaultArchiveCatalogerConfig().MavenBaseURL, ",")
	return map[string]string{
		fetch.Maven: maven,
		fetch.PyPI:  python.DefaultCatalogerConfig().PypiBaseURL,
	}
}
