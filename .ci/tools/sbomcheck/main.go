// Command sbomcheck holds SBOMs to readers that are not ours: SPDX documents
// to the validator of the SPDX project, and documents of either form to the
// reader of grype. For each file it prints what was found in it.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/anchore/grype/grype/pkg"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

func main() {
	failed := false
	for _, name := range os.Args[1:] {
		if err := check(name); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			failed = true
		}
	}
	if failed || len(os.Args) < 2 {
		os.Exit(1)
	}
}

func check(name string) error {
	if strings.HasSuffix(name, ".spdx.json") {
		if err := validate(name); err != nil {
			return fmt.Errorf("SPDX validator: %w", err)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	packages, about, _, err := pkg.ProvideFromReader(f, pkg.ProviderConfig{})
	if err != nil {
		return fmt.Errorf("grype: %w", err)
	}
	if about.Distro == nil || len(packages) == 0 {
		return fmt.Errorf("grype: distro %v, %d packages", about.Distro, len(packages))
	}
	// What scanners look up in their databases.
	kinds := map[string]int{}
	for _, p := range packages {
		kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
		kinds[kind]++
	}
	fmt.Printf("%s: %s, packages %d, deb %d, maven %d, golang %d, pypi %d\n",
		name, about.Distro, len(packages), kinds["deb"], kinds["maven"], kinds["golang"], kinds["pypi"])
	return nil
}

func validate(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	doc, err := spdxjson.Read(f)
	if err != nil {
		return err
	}
	return spdxlib.ValidateDocument(doc)
}
