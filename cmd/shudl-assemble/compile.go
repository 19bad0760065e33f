package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/rootfs/gobin"
)

// compileName is the hidden command that compiles one Go program: what ko
// needs of memory ends with that process.
const compileName = "compile-go"

func (a *app) compile() *cobra.Command {
	return &cobra.Command{
		Use: compileName, Hidden: true, Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return gobin.Helper(cmd.Context(), os.Stdin) },
	}
}

// compileCommand is this program as that command; none in a test's binary,
// which is not this program.
func compileCommand() []string {
	self, err := os.Executable()
	if err != nil || strings.HasSuffix(self, ".test") {
		return nil
	}
	return []string{self, compileName}
}
