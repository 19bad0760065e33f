package collect

import (
	"context"
	"fmt"
	"slices"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/gobin"
	"github.com/shudl/shudl-assemble/rootfs/maven"
	"github.com/shudl/shudl-assemble/rootfs/pypi"
)

// tarballs adds archives that the recipe names by address or mirror path.
func (c *collector) tarballs(ctx context.Context) error {
	for _, src := range c.layer.Tarballs {
		if src.APKRoot {
			continue // laid out first, by roots
		}
		a, err := c.artifact(recipes.KindTarball, src.Name, "")
		if err != nil {
			return err
		}
		placed, dropped, err := archive.Lay(ctx, c.Store, a.SHA256, archive.Options{
			Name: a.Name, Placement: src.Placement, Platform: c.Image.Platform,
		})
		if err != nil {
			return fmt.Errorf("tarball: %w", err)
		}
		if err := c.take(a, placed, dropped); err != nil {
			return err
		}
	}
	return nil
}

// take adds an artefact's entries under its purl.
func (c *collector) take(a recipes.Artifact, entries []rootfs.Entry, dropped []archive.Dropped) error {
	for i := range dropped {
		dropped[i].Owner = a.PURL
	}
	c.out.Dropped = append(c.out.Dropped, dropped...)
	for i := range entries {
		entries[i].Owner = a.PURL
	}
	if err := c.add(entries); err != nil {
		return fmt.Errorf("%s %s %s: %w", a.Kind, a.Name, a.Version, err)
	}
	return nil
}

// maven adds the layer's Maven artefacts.
func (c *collector) maven(ctx context.Context) error {
	for _, src := range c.layer.Maven {
		coordinate, err := maven.Parse(src.Coordinate)
		if err != nil {
			return err
		}
		a, err := c.artifact(recipes.KindMaven, coordinate.Name(), coordinate.Version)
		if err != nil {
			return err
		}
		entries, dropped, err := maven.Entries(ctx, c.Store, a, src, c.Image.Platform)
		if err != nil {
			return fmt.Errorf("maven %s: %w", src.Coordinate, err)
		}
		if err := c.take(a, entries, dropped); err != nil {
			return err
		}
	}
	return nil
}

// pypi adds the layer's wheels and sdists.
func (c *collector) pypi(ctx context.Context) error {
	if len(c.layer.PyPI) == 0 {
		return nil
	}
	target, err := pypi.TargetOf(c.Image.Distro, c.Image.Platform, append(slices.Clone(c.Inherited), c.Locked.Artifacts...))
	if err != nil {
		return err
	}
	for _, src := range c.layer.PyPI {
		name, version, err := pypi.ParseRequirement(src.Requirement)
		if err != nil {
			return err
		}
		a, err := c.artifact(recipes.KindPyPI, name, version)
		if err != nil {
			return err
		}
		entries, dropped, err := pypi.Entries(ctx, c.Store, a, src, target)
		if err != nil {
			return fmt.Errorf("pypi %s: %w", src.Requirement, err)
		}
		if err := c.take(a, entries, dropped); err != nil {
			return err
		}
	}
	return nil
}

// programs builds the layer's Go programs, or takes them from the store.
func (c *collector) programs(ctx context.Context) error {
	for _, src := range c.layer.Go {
		a, err := c.artifact(recipes.KindGo, src.Package, src.Version)
		if err != nil {
			return err
		}
		e, err := gobin.Build(ctx, c.Store, a, src, c.Image.Platform, c.Go)
		if err != nil {
			return fmt.Errorf("go %s@%s: %w", src.Package, src.Version, err)
		}
		if err := c.take(a, []rootfs.Entry{e}, nil); err != nil {
			return err
		}
	}
	return nil
}

// files adds the recipe's own files.
func (c *collector) files(context.Context) error {
	for _, f := range c.layer.Files {
		e := rootfs.NewFile(f.Path, f.Mode, f.Content)
		e.UID, e.GID = f.UID, f.GID
		e.Owner = c.owner("files", f.Path)
		if err := c.out.Tree.Add(e); err != nil {
			return err
		}
	}
	return nil
}
