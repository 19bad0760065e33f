package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write COMMANDS.md anew")

// The reference of all commands is made from the commands themselves:
// go test ./cmd/shudl-assemble -run TestCommandReference -update
func TestCommandReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the commands themselves; a test holds it to them.\n")
	describe(&b, (&app{}).root())
	const file = "COMMANDS.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("%s is not what the commands say: go test ./cmd/shudl-assemble -run TestCommandReference -update", file)
	}
}

func describe(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
		return
	}
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n", cmd.CommandPath())
	if strings.Contains(text, "\n  ") {
		fmt.Fprintf(b, "```\n%s\n```\n", text)
	} else {
		fmt.Fprintf(b, "%s\n", text)
	}
	if cmd.Runnable() {
		fmt.Fprintf(b, "\n```\n%s\n", cmd.UseLine())
		if flags := cmd.LocalFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(b, "\n%s", flags)
		}
		b.WriteString("```\n")
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", cmd.Example)
	}
	for _, sub := range cmd.Commands() {
		describe(b, sub)
	}
}
