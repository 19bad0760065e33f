package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers"
)

// programVersion is the version that the module was built at: "(devel)" from
// a checkout.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Version, Go, and what decides the bytes of a layer", Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.stdout, "shudl-assemble %s\ngo      %s %s/%s\nlayers  format %d\nencoder %s\n",
				programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, layers.Format, layers.EncoderID)
			return err
		},
	}
}
