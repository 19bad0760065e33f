package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/rootfs/gobin"
)

// helperName is the hidden command that compiles one Go program: what ko
// needs of memory ends with that process.
const helperName = "compile-go"

func (a *app) helper() *cobra.Command {
	return &cobra.Command{
		Use: helperName, Hidden: true, Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return gobin.Helper(cmd.Context(), os.Stdin) },
	}
}

// helperCommand is this program as that command; none in a test's binary,
// which is not this program.
func helperCommand() []string {
	self, err := os.Executable()
	if err != nil || strings.HasSuffix(self, ".test") {
		return nil
	}
	return []string{self, helperName}
}
