package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/resolve"
)

// errMoved says that lock --check found something.
var errMoved = errors.New("the lock is out of date")

func (a *app) lock() *cobra.Command {
	var check, refresh bool
	cmd := &cobra.Command{
		Use:   "lock [--check|--refresh [IMAGE[:STREAM]...]]",
		Short: "Write what is missing into the lock",
		Long: "lock resolves what the recipes ask for and the lock does not hold, for all images of the distro,\n" +
			"against the indexes that the lock was resolved from. --refresh resolves everything against today's\n" +
			"indexes, or only the images named: the others stay as they are locked, with their date, and it is refused where they\n" +
			"could not stand on what moved (so `lock --refresh base` takes a fix in the base alone, and `rebase`\n" +
			"brings it to the services). What moved is printed.",
		ValidArgsFunction: a.completeImages,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !refresh {
				return usage(fmt.Errorf("lock %s: images are named with --refresh; without it lock adds what is missing of all", args[0]))
			}
			if a.platforms == "" {
				a.platforms = "all"
			}
			w, err := a.start(cmd.Context(), nil, true)
			if err != nil {
				return err
			}
			o := w.resolveOptions()
			if check || refresh {
				// Today's archives, not the past, and today's Go.
				o.Fetcher, o.Refresh, o.Go = w.fetcher(nil), true, runtime.Version()
			}
			if len(args) > 0 {
				if o.Only, err = named(w.set, args, w.distro); err != nil {
					return usage(err)
				}
				kept := w.resolveOptions()
				o.Go, o.Kept = kept.Go, kept.Fetcher // programs and packages that stay are of the old one
			}
			result, err := resolve.Lock(cmd.Context(), w.set, w.old, w.distro, o)
			if err != nil {
				return err
			}
			a.quiet()
			for _, c := range result.Changes {
				fmt.Fprintln(a.stdout, c)
			}
			if check {
				return checked(w, result.Changes)
			}
			if !result.Changed {
				a.sink.Say("%s holds everything", recipes.LockPath(w.dir, w.distro))
				return nil
			}
			result.Changes = nil // printed already
			return w.write(result)
		},
	}
	a.imageFlags(cmd.Flags())
	a.lockedFlag(cmd.Flags())
	cmd.Flags().StringVar(&a.release, "release", "", "another branch or suite of the distro: v3.24, trixie")
	cmd.Flags().BoolVar(&check, "check", false, "only print what has moved since; exit status 20 if anything has")
	cmd.Flags().BoolVar(&refresh, "refresh", false, "resolve everything anew")
	cmd.MarkFlagsMutuallyExclusive("check", "refresh")
	cmd.MarkFlagsMutuallyExclusive("locked", "refresh")
	return cmd
}

func checked(w *work, changes []recipes.Change) error {
	if len(changes) == 0 && w.old != nil {
		return nil
	}
	return fmt.Errorf("%w: %d artefacts have moved: `shudl-assemble lock --refresh --distro %s` takes them", errMoved, len(changes), w.distro)
}
