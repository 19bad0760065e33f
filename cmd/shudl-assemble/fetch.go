package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

func (a *app) fetch() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "fetch [IMAGE[:STREAM]...|--all]",
		Short: "Download what is locked; --bundle FILE for a machine without network",
		Long: "fetch brings what images are made of into the store. With --bundle FILE it writes all of it, Go\n" +
			"modules included, into one file, from which `push --offline --bundle FILE` builds.",
		RunE: func(cmd *cobra.Command, args []string) error {
			target := a.bundle
			a.bundle = "" // written here, read by the other commands
			w, err := a.start(cmd.Context(), args, all)
			if err != nil {
				return err
			}
			lock, err := w.fillLock(cmd.Context())
			if err != nil {
				return err
			}
			var got assemble.Fetched
			err = w.withLock(cmd.Context(), lock, func(o assemble.Options) (err error) {
				got, err = assemble.Fetch(cmd.Context(), o, target != "")
				return err
			})
			if err != nil {
				return err
			}
			for _, err := range got.Gone {
				a.sink.Say("warning: %v\nthe bundle is without it: what is locked builds from the bundle, and the lock cannot be extended from it", err)
			}
			if target != "" {
				if err := writeBundle(cmd.Context(), target, w.store, got.Files); err != nil {
					return err
				}
			}
			a.quiet()
			var total int64
			for _, f := range got.Files {
				total += f.Size
			}
			a.sink.Say("%d files, %s", len(got.Files), megabytes(total))
			return nil
		},
		ValidArgsFunction: a.completeImages,
	}
	a.imageFlags(cmd.Flags())
	a.lockedFlag(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all images of the distro")
	cmd.Flags().Lookup("bundle").Usage = "write everything into this `FILE`, for --offline --bundle FILE elsewhere"
	return cmd
}

// writeBundle writes a bundle as a whole or not at all.
func writeBundle(ctx context.Context, path string, s *fetch.Store, files []fetch.Bundled) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := fetch.WriteBundle(ctx, f, s, files); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return os.Rename(f.Name(), path)
}
