package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/resolve"
)

func (a *app) resolve() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "resolve PACKAGE...",
		Short:   "What these packages pull into an empty root: one name=version a line, sorted",
		Example: "  shudl-assemble resolve postgresql-17 --distro debian",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := &work{app: a}
			var err error
			if w.distro, err = recipes.ParseDistro(a.distro); err != nil {
				return usage(fmt.Errorf("--distro: %w", err))
			}
			if w.platforms, err = a.platformList(); err != nil {
				return err
			}
			if len(w.platforms) != 1 {
				return usage(fmt.Errorf("--platform: name one"))
			}
			if err := w.open(cmd.Context()); err != nil {
				return err
			}
			found, err := resolve.Packages(cmd.Context(), args, w.distro, w.platforms[0], resolve.Options{
				Fetcher: w.fetcher(nil), Release: a.release, Keyring: a.keyring,
			})
			a.quiet()
			for _, line := range found {
				fmt.Fprintln(a.stdout, line)
			}
			return err
		},
	}
	a.sourceFlags(cmd.Flags())
	cmd.Flags().StringVar(&a.platforms, "platform", "", "linux/amd64 or linux/arm64 (default: the machine's own)")
	cmd.Flags().StringVar(&a.release, "release", "", "another branch or suite of the distro: v3.19, trixie")
	return cmd
}
