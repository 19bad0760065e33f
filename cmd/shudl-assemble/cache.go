package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

func (a *app) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look after the content store",
		Long:  "cache looks after the store of downloads and layers. Deleting it, or a disk that spoils it, costs\ntime, not correctness. Who may write in its folder decides what is built.",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.cacheDU(), a.cacheGC(), a.cacheVerify())
	return cmd
}

func (a *app) cacheDU() *cobra.Command {
	cmd := &cobra.Command{
		Use: "du", Short: "What the store holds, and where it is", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openStore()
			if err != nil {
				return err
			}
			u, err := s.Usage(cmd.Context())
			if err != nil {
				return err
			}
			if a.output != "" && a.output != "text" && a.output != "json" {
				return usage(fmt.Errorf("--output %s: it is text or json", a.output))
			}
			if a.output == "json" {
				return json.NewEncoder(a.stdout).Encode(u)
			}
			t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintf(t, "store\t%s\n", u.Dir)
			for _, line := range []struct {
				name  string
				count fetch.Count
			}{{"objects", u.Objects}, {"records", u.Records}, {"partial downloads", u.Partial}, {"temporary", u.Leftover}} {
				fmt.Fprintf(t, "%s\t%d files\t%s\n", line.name, line.count.Files, megabytes(line.count.Bytes))
			}
			return t.Flush()
		},
	}
	cmd.Flags().StringVar(&a.output, "output", "", "text or json (default: text)")
	return cmd
}

func (a *app) cacheGC() *cobra.Command {
	var o fetch.GCOptions
	var maxSize int64
	cmd := &cobra.Command{
		Use: "gc", Short: "Remove what was not used for long, and what dead processes left", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openStore()
			if err != nil {
				return err
			}
			o.MaxBytes = maxSize * 1e6
			if o.MaxAge <= 0 { // all of it; zero would mean the default
				o.MaxAge = time.Nanosecond
			}
			r, err := s.GC(cmd.Context(), o)
			if err != nil {
				return err
			}
			word := "removed"
			if o.DryRun {
				word = "would remove"
			}
			_, err = fmt.Fprintf(a.stdout, "%s %d files, %s; %d objects stay, %s\n", word,
				r.Removed.Files, megabytes(r.Removed.Bytes), r.Kept.Files, megabytes(r.Kept.Bytes))
			return err
		},
	}
	cmd.Flags().DurationVar(&o.MaxAge, "max-age", 30*24*time.Hour, "how long ago an object may have been used last, as in 72h")
	cmd.Flags().Int64Var(&maxSize, "max-size", 0, "how much may stay, in MB; the longest unused goes first (default: no limit)")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only say what would go")
	return cmd
}

func (a *app) cacheVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Hash every object; corrupt ones are removed", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openStore()
			if err != nil {
				return err
			}
			r, err := s.Verify(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%d objects are sound, %s\n", r.Sound.Files, megabytes(r.Sound.Bytes))
			for _, c := range r.Corrupt {
				fmt.Fprintln(a.stdout, c)
			}
			if len(r.Corrupt) > 0 {
				return fmt.Errorf("%d objects were corrupt: they are fetched or made again when they are needed", len(r.Corrupt))
			}
			return nil
		},
	}
}
