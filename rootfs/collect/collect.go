// Package collect lays the locked artefacts of one image out as file trees:
// one tree for each content layer of the recipe and one for its state.
package collect

import (
	"context"
	"fmt"
	"path"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/gobin"
)

// Input is an image with its locked artefacts, all of which are in the store.
type Input struct {
	Image  *recipes.Image
	Locked *recipes.LockedImage
	// Inherited are the artefacts of all ancestors.
	Inherited []recipes.Artifact
	Store     *fetch.Store
	// Go is how Go programs are built.
	Go gobin.Options
}

// Layer is the tree of one layer, with what was left out of it.
type Layer struct {
	Tree    *rootfs.Tree
	Dropped []archive.Dropped
}

// Content collects one content layer of the image on top of lower, which is
// the parent's tree with the layers before this one (nil below a base).
func Content(ctx context.Context, in Input, layer recipes.Layer, lower *rootfs.Tree) (*Layer, error) {
	c := &collector{
		Input:  in,
		layer:  layer,
		out:    &Layer{Tree: rootfs.NewTree(lower)},
		packed: map[string]replaces{},
	}
	c.out.Tree.Replaces = c.replaces
	steps := []func(context.Context) error{
		c.declared, c.roots, c.packages, c.tarballs, c.maven, c.pypi, c.programs, c.files,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("image %s, layer %s: %w", in.Image.Ref, layer.Name, err)
		}
	}
	return c.out, nil
}

// collector fills one layer.
type collector struct {
	Input
	layer recipes.Layer
	out   *Layer
	// packed remembers, by purl, which packages a package may overwrite.
	packed map[string]replaces
}

// replaces is the name of a package and of those whose files it may take over.
type replaces struct {
	name string
	of   map[string]bool
}

// replaces says whether a package may overwrite another's file.
func (c *collector) replaces(newer, older string) bool {
	n, o := c.packed[newer], c.packed[older]
	return n.of[o.name]
}

// owner names the recipe entry that makes a path.
func (c *collector) owner(kind, name string) string {
	return "recipe:" + path.Join(c.Image.Name, c.layer.Name, kind, name)
}

// add puts entries of one owner into the tree.
func (c *collector) add(entries []rootfs.Entry) error {
	for _, e := range entries {
		if err := c.out.Tree.Add(e); err != nil {
			return err
		}
	}
	return nil
}

// artifacts lists what the lock holds of a kind for this layer.
func (c *collector) artifacts(kinds ...recipes.Kind) []recipes.Artifact {
	var out []recipes.Artifact
	for _, a := range c.Locked.Artifacts {
		for _, k := range kinds {
			if a.Kind == k && a.Layer == c.layer.Name {
				out = append(out, a)
			}
		}
	}
	return out
}

// artifact finds the one that the lock holds for a source of the recipe.
func (c *collector) artifact(kind recipes.Kind, name, version string) (recipes.Artifact, error) {
	for _, a := range c.artifacts(kind) {
		if a.Name == name && (version == "" || a.Version == version) {
			return a, nil
		}
	}
	return recipes.Artifact{}, fmt.Errorf("the lock has no %s %s %s: run `shudl-assemble lock`", kind, name, version)
}

// declared adds the folders and links that the recipe lists. They come first,
// so that a package's path goes through a link such as bin → usr/bin.
func (c *collector) declared(context.Context) error {
	for _, l := range c.layer.Links {
		e := rootfs.Entry{Path: l.Path, Type: rootfs.Symlink, Mode: 0o777, Link: l.Target, Owner: c.owner("links", l.Path)}
		if err := c.out.Tree.Add(e); err != nil {
			return err
		}
	}
	for _, d := range c.layer.Directories {
		e := rootfs.Entry{Path: d.Path, Type: rootfs.Directory, Mode: d.Mode, UID: d.UID, GID: d.GID, Owner: c.owner("directories", d.Path)}
		if err := c.out.Tree.Add(e); err != nil {
			return err
		}
	}
	return nil
}
