package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/assemble"
)

func (a *app) plan() *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{
		Use:   "plan [IMAGE[:STREAM]...|--all]",
		Short: "What would be built, in order, and what is cached",
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := map[string]func(*assemble.Plan, io.Writer) error{
				"tree": (*assemble.Plan).Tree, "json": (*assemble.Plan).JSON, "mermaid": (*assemble.Plan).Mermaid,
			}[format]
			if !ok {
				return usage(fmt.Errorf("--format %s: it is tree, json or mermaid", format))
			}
			w, err := a.start(cmd.Context(), args, all)
			if err != nil {
				return err
			}
			lock, err := w.fillLock(cmd.Context())
			if err != nil {
				return err
			}
			o, err := w.options(lock)
			if err != nil {
				return err
			}
			p, err := assemble.NewPlan(o)
			if err != nil {
				return err
			}
			a.quiet()
			return write(p, a.stdout)
		},
		ValidArgsFunction: a.completeImages,
	}
	a.imageFlags(cmd.Flags())
	a.lockedFlag(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all images of the distro")
	cmd.Flags().StringVar(&format, "format", "tree", "tree, json or mermaid")
	return cmd
}
