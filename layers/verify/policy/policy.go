// Package policy reads what a team demands of images, from a small YAML file
// that it keeps in its repository: who may sign which image, what must be
// attested, how old an image may be, what it must be built on and where it may
// come from. The file is strict: an unknown key is an error.
//
//	version: 1
//	trusted-root: trusted_root.json        # needed by identities; beside this file
//	registries: [ghcr.io/org/lakehouse]    # images may come from here and below; without it, from anywhere
//	images:                                # the first entry that matches an image counts; one without a match is refused
//	  - match: ["base-*"]                  # globs on the image's name, or with a slash on ghcr.io/org/lakehouse/postgresql
//	    signers: [{key: release.pub}]      # any of them suffices; env://NAME is a key in a variable
//	  - match: ["*"]
//	    signers:
//	      - key: release.pub
//	      - identity: https://github.com/org/lakehouse/.github/workflows/publish.yaml@refs/heads/main
//	        issuer: https://token.actions.githubusercontent.com
//	      - identity-regexp: https://github\.com/org/.*    # matches the whole, as does issuer-regexp
//	        issuer: https://token.actions.githubusercontent.com
//	        insecure-ignore-sct: true      # and insecure-ignore-tlog, for services without these logs
//	    predicates: [cyclonedx, vex]       # beside SPDX and SLSA provenance, which every image must have
//	    max-age: 90d                       # by the image's own date; or as 36h
//	    parents: [base-debian]             # all of them, somewhere below the image
package policy

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/shudl/shudl-assemble/layers/verify"
)

// Policy is a policy that was read.
type Policy struct {
	file       string
	registries []string
	entries    []entry
}

// entry is the rule of the images that its globs match.
type entry struct {
	match      []string
	registries []string
	rule       verify.Rule
}

// Rule gives the rule of an image at a destination. The error is
// verify.ErrPolicy where no entry is for it, or where it may not come from.
func (p *Policy) Rule(destination, image string) (verify.Rule, error) {
	if !allowed(p.registries, destination) {
		return verify.Rule{}, fmt.Errorf("%w: %s allows images from %s, and not from %s",
			verify.ErrPolicy, p.file, strings.Join(p.registries, ", "), destination)
	}
	for _, e := range p.entries {
		if !e.matches(destination, image) {
			continue
		}
		if !allowed(e.registries, destination) {
			return verify.Rule{}, fmt.Errorf("%w: %s allows %s from %s, and not from %s",
				verify.ErrPolicy, e.rule.Source, image, strings.Join(e.registries, ", "), destination)
		}
		return e.rule, nil
	}
	return verify.Rule{}, fmt.Errorf("%w: %s has no entry for %s", verify.ErrPolicy, p.file, image)
}

// matches says whether one of the entry's globs is for an image.
func (e entry) matches(destination, image string) bool {
	for _, glob := range e.match {
		name := image
		if strings.Contains(glob, "/") {
			name = path.Join(destination, image)
		}
		if doublestar.MatchUnvalidated(glob, name) {
			return true
		}
	}
	return false
}

// allowed says whether a destination is one of those named, or lies below it.
func allowed(registries []string, destination string) bool {
	for _, r := range registries {
		if destination == r || strings.HasPrefix(destination, strings.TrimSuffix(r, "/")+"/") || r == layouts && strings.HasPrefix(destination, layouts) {
			return true
		}
	}
	return len(registries) == 0
}

// layouts stands for every folder of OCI layouts.
const layouts = "oci:"
