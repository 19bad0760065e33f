package main

import (
	"context"
	"fmt"
	"os"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/rootfs/resolve"
)

// handOver is push --from: neither store nor mirrors are opened, since nothing
// is fetched or built.
func (a *app) handOver(ctx context.Context, args []string, f makeFlags, chosen bool) error {
	write, err := a.resultWriter()
	if err != nil {
		return err
	}
	from, err := publish.ParseDestination(f.from, publish.RegistryOptions{})
	if err != nil {
		return usage(fmt.Errorf("--from: %w", err))
	}
	if _, layout := from.(*publish.Layout); !layout {
		return usage(fmt.Errorf("--from %s: name a folder that build wrote, as oci:DIR", f.from))
	}
	dest, err := publish.ParseDestination(f.to, publish.RegistryOptions{})
	if err != nil {
		return usage(err)
	}
	w, err := a.choose(args, f.all)
	if err != nil {
		return err
	}
	by, err := f.sign.find(ctx, a, dest)
	if err != nil {
		return err
	}
	o, err := w.handedOptions(ctx, f)
	if err != nil {
		return err
	}
	o.From, o.Dest, o.Merge, o.Signer, o.Format = from, dest, f.merge, by.signer, by.format
	if !chosen {
		if o.Platforms, err = assemble.PlatformsAt(ctx, o); err != nil {
			return err
		}
	}
	result, err := assemble.Run(ctx, o)
	a.quiet()
	if err != nil {
		return err
	}
	return write(result)
}

// handedOptions are those of the driver where another run has built; a lock
// that would have to change is refused, as by --locked.
func (w *work) handedOptions(ctx context.Context, f makeFlags) (assemble.Options, error) {
	compression, err := layers.ParseCompression(f.compress)
	if err != nil {
		return assemble.Options{}, usage(err)
	}
	date, err := sourceDate()
	if err != nil {
		return assemble.Options{}, err
	}
	builder, err := provenance.BuilderID(os.Getenv)
	if err != nil {
		return assemble.Options{}, err
	}
	locked := resolve.Options{
		Images: w.refs, Platforms: w.platforms, Locked: true,
		Encoder: layers.EncoderID, EncoderGolden: layers.EncoderGolden, LayerFormat: layers.Format,
	}
	if _, err := resolve.Lock(ctx, w.set, w.old, w.distro, locked); err != nil {
		return assemble.Options{}, err
	}
	return assemble.Options{
		Set: w.set, Lock: w.old, Refs: w.refs, Platforms: w.platforms, Compression: compression, SourceDate: date,
		Jobs: w.app.jobs, Progress: w.app.sink, Tool: programVersion(), Builder: builder,
	}, nil
}
