package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// defaultDest is the destination where none is named.
const defaultDest = "oci:shudl-images"

// makeFlags are those of push and build.
type makeFlags struct {
	all                bool
	to, from, compress string
	sign               signFlags
	merge, test        bool
	recheck            bool
}

func (a *app) push() *cobra.Command {
	var f makeFlags
	cmd := &cobra.Command{
		Use:   "push [IMAGE[:STREAM]...|--all]",
		Short: "Build what is missing, describe, sign and publish; the tag last",
		Long: "push builds images with their ancestors, attaches an SBOM and SLSA provenance to each, signs all of it,\n" +
			"and publishes it to a folder of OCI layouts or a registry. The tag moves last, when all before it was read back.\n\n" +
			"With --from it publishes what build left in a folder: the job that fetches, unpacks and compiles holds\n" +
			"no key, and the job with the key does none of that. Recipes, lock and options must be those of the build:\n" +
			"tags, configuration, annotations and the order of layers are made anew from them and compared byte for\n" +
			"byte, every blob is hashed, provenance and VEX must be what this run would say, and SBOMs name this image and\n" +
			"all that is locked for it and nothing else.",
		Example: "  shudl-assemble push --all --distro debian\n  shudl-assemble push postgresql --to ghcr.io/org/repo --key cosign.key\n" +
			"  shudl-assemble push --all --to ghcr.io/org/repo --keyless\n" +
			"  shudl-assemble push --all --from oci:shudl-images --to ghcr.io/org/repo --key cosign.key",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.from != "" && f.test {
				return usage(errors.New("--test and --from exclude each other: run `shudl-assemble test --from` on what build left"))
			}
			if f.from != "" {
				return a.handOver(cmd.Context(), args, f, cmd.Flags().Changed("platform"))
			}
			return a.make(cmd.Context(), args, f, true)
		},
	}
	a.makeFlags(cmd, &f)
	f.sign.add(cmd.Flags())
	cmd.Flags().StringVar(&f.from, "from", "", "`oci:DIR` that build wrote, in a job without a key: everything in it is checked and hashed, nothing fetched, unpacked or built")
	cmd.Flags().BoolVar(&f.test, "test", false, "hold each image to its contract before its tag moves, as test does, and attach the signed result")
	cmd.Flags().BoolVar(&f.recheck, "recheck", false, "look at every tag, blob and signature; without it, for a day after the same push was finished here, a registry is asked two questions an image and no file of a folder is opened")
	cmd.Flags().BoolVar(&f.merge, "merge", false, "keep the platforms that a tag has and this run does not build")
	return cmd
}

func (a *app) build() *cobra.Command {
	var f makeFlags
	cmd := &cobra.Command{
		Use:   "build [IMAGE[:STREAM]...|--all]",
		Short: "Build the same images into an OCI layout, not signed",
		Long: "build makes the images as push does and leaves them in a folder of OCI layouts, not signed, with their\n" +
			"SBOMs, provenance and VEX beside them as unsigned statements. `push --from` signs and publishes them, in another job.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.make(cmd.Context(), args, f, false)
		},
	}
	a.makeFlags(cmd, &f)
	return cmd
}

func (a *app) makeFlags(cmd *cobra.Command, f *makeFlags) {
	a.imageFlags(cmd.Flags())
	a.lockedFlag(cmd.Flags())
	a.outputFlag(cmd.Flags())
	cmd.Flags().BoolVar(&f.all, "all", false, "all images of the distro")
	cmd.Flags().StringVar(&f.to, "to", defaultDest, "`DEST`, which is oci:DIR, or a registry path such as ghcr.io/org/repo")
	cmd.Flags().StringVar(&f.compress, "compression", "gzip", "of layers: gzip or zstd")
	cmd.ValidArgsFunction = a.completeImages
}

// openFor opens the store and finds who signs, both at a time where there is a
// key already: it is guarded so that it opens slowly.
func (w *work) openFor(ctx context.Context, f makeFlags, dest publish.Destination, sign bool) (by signing, err error) {
	if !sign {
		return by, w.open(ctx)
	}
	if !f.sign.hasKey() {
		if err := w.open(ctx); err != nil {
			return by, err
		}
		return f.sign.find(ctx, w.app, dest)
	}
	var group errgroup.Group
	group.Go(func() (err error) {
		by, err = f.sign.find(ctx, w.app, dest)
		return err
	})
	err = w.open(ctx)
	if noKey := group.Wait(); err == nil {
		err = noKey
	}
	return by, err
}

// make is push and build: what the destination and the key must be is known
// before anything is resolved or fetched, and that the user's own key opens
// before anything is written to the destination.
func (a *app) make(ctx context.Context, args []string, f makeFlags, sign bool) error {
	write, err := a.resultWriter()
	if err != nil {
		return err
	}
	compression, err := layers.ParseCompression(f.compress)
	if err != nil {
		return usage(err)
	}
	dest, err := publish.ParseDestination(f.to, publish.RegistryOptions{})
	if err != nil {
		return usage(err)
	}
	w, err := a.choose(args, f.all)
	if err != nil {
		return err
	}
	var by signing
	if by, err = w.openFor(ctx, f, dest, sign); err != nil {
		return err
	}
	lock, err := w.fillLock(ctx)
	if err != nil {
		return err
	}
	var result assemble.Result
	err = w.withLock(ctx, lock, func(o assemble.Options) (err error) {
		if f.test {
			o.Test = a.tester(w.set, w.distro)
		}
		o.Dest, o.Signer, o.Format, o.Merge, o.Compression = dest, by.signer, by.format, f.merge, compression
		o.Recheck = f.recheck
		result, err = assemble.Run(ctx, o)
		return err
	})
	a.quiet()
	if err != nil {
		return err
	}
	return write(result)
}
