package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/existing"
	"github.com/shudl/shudl-assemble/layers/reproduce"
	"github.com/shudl/shudl-assemble/recipes"
)

func (a *app) reproduce() *cobra.Command {
	var trusted trustFlags
	var cold bool
	cmd := &cobra.Command{
		Use:   "reproduce REF",
		Short: "Build a published image again from its provenance and the lock, and compare",
		Long: "reproduce reads the provenance that is attached to an image, builds the image and its ancestors\n" +
			"anew with the recipes and the lock at hand, and compares the diffIDs of the layers, then digests.\n" +
			"Where they differ it names the first layer and the first path in it, and exits with 21. Where recipes,\n" +
			"lock, encoder or Go are not those that made the image, it says which and builds nothing.\n\n" +
			"Nothing that was built before is used: downloads may come from the store, where each is hashed\n" +
			"again, and with --cold not even these. Programs are compiled anew, which takes minutes.",
		Example: "  shudl-assemble reproduce ghcr.io/org/repo/postgresql:17-debian --key cosign.pub\n" +
			"  shudl-assemble reproduce oci:shudl-images/postgresql:17-debian",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.reproduceImage(cmd.Context(), args[0], trusted, cold)
		},
	}
	f := cmd.Flags()
	a.fetchFlags(f)
	f.StringVar(&a.recipesDir, "recipes", "", "`DIR` of recipes (default: recipes/ here, else the built-in ones)")
	f.StringVar(&a.platforms, "platform", "", "linux/amd64 or linux/arm64 (default: of an index all that it has)")
	trusted.add(f)
	f.Lookup("key").Usage = "public key `FILE` in PEM, or env://NAME (default: who signed the provenance is not checked)"
	f.BoolVar(&cold, "cold", false, "download everything again too")
	f.StringVar(&a.output, "output", "", "text or json (default: text)")
	return cmd
}

func (a *app) reproduceImage(ctx context.Context, ref string, trusted trustFlags, cold bool) error {
	o, err := a.reproduceOptions(trusted, cold)
	if err != nil {
		return err
	}
	found, err := existing.Find(ctx, ref, o)
	if err != nil {
		return fmt.Errorf("reproduce %s: %w", ref, err)
	}
	if !found.Signed() {
		a.sink.Say("the signature of the provenance was not checked: --key FILE, --certificate-identity or --policy say who may have signed it")
	}
	a.distro, a.platforms = string(found.Distro()), "all"
	w, err := a.start(ctx, []string{found.Ref().String()}, false)
	if err != nil {
		return err
	}
	if w.old == nil {
		return usage(fmt.Errorf("%s: there is no lock here: reproduce needs the one that made the image; name its folder by --recipes",
			recipes.LockPath(w.dir, w.distro)))
	}
	anew, err := w.anew(cold)
	if err != nil {
		return err
	}
	report, err := reproduce.Run(ctx, found, anew)
	a.quiet()
	return errors.Join(writeReproduction(a.stdout, report, a.output), err)
}

func (a *app) reproduceOptions(trusted trustFlags, cold bool) (o existing.Options, err error) {
	if a.output != "" && a.output != "text" && a.output != "json" {
		return o, usage(fmt.Errorf("--output %s: it is text or json", a.output))
	}
	if cold && a.offline && a.bundle == "" {
		return o, usage(errors.New("--cold downloads everything again, and --offline forbids it: give a --bundle, or one of the two"))
	}
	if a.platforms != "" && a.platforms != "all" {
		if o.Platforms, err = a.platformList(); err != nil {
			return o, err
		}
	}
	if trusted != (trustFlags{}) {
		o.Rules, err = trusted.rules()
	}
	return o, err
}

// anew are the options of a build that finds nothing ready, in a store that
// goes when the command ends.
func (w *work) anew(cold bool) (assemble.Options, error) {
	downloads := w.store
	fresh, remove, err := w.store.Fresh()
	if err != nil {
		return assemble.Options{}, err
	}
	w.app.closers = append(w.app.closers, remove)
	w.store = fresh
	o, err := w.options(w.old)
	if err != nil {
		return o, err
	}
	o.Go.Cache, o.Go.ModCache = filepath.Join(fresh.Dir(), "go-build"), filepath.Join(fresh.Dir(), "go-mod")
	if !cold {
		o.Fetcher.Beside, o.Go.Reuse = downloads, true
	}
	return o, nil
}

func writeReproduction(w io.Writer, r reproduce.Report, form string) error {
	if form == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	for _, i := range r.Images {
		if i.Reproduced {
			fmt.Fprintf(w, "ok      %s  %s: %d layers, built again with the same diffIDs and digests, %s\n", r.Reference, i.Platform, i.Layers, i.Digest)
			continue
		}
		fmt.Fprintf(w, "FAILED  %s  %s: %s\n", r.Reference, i.Platform, i.Difference)
		writeDifference(w, i.Difference)
	}
	if r.Index != nil {
		fmt.Fprintf(w, "FAILED  %s  %s\n", r.Reference, r.Index)
		writeDifference(w, r.Index)
	}
	return nil
}

func writeDifference(w io.Writer, d *reproduce.Difference) {
	for _, aspect := range d.Aspects {
		fmt.Fprintf(w, "        %s\n          published: %s\n          rebuilt:   %s\n", aspect.What, aspect.Published, aspect.Rebuilt)
	}
	if d.More > 0 {
		fmt.Fprintf(w, "        and %d more paths of this layer\n", d.More)
	}
}
