package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
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

// The help says of each port that the policies of a lakehouse close to some of
// its namespace, or open beyond it, who comes in.
func TestHelpNamesClosedPorts(t *testing.T) {
	data, err := os.ReadFile("../../layers/deploy/testdata/lakehouse.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, doc := range strings.Split(string(data), "---\n") {
		var policy networkingv1.NetworkPolicy
		if err := yaml.Unmarshal([]byte(doc), &policy); err != nil {
			t.Fatal(err)
		}
		for _, rule := range policy.Spec.Ingress {
			var names []string
			all := false
			for _, p := range rule.From {
				if p.PodSelector != nil {
					name, _, _ := strings.Cut(p.PodSelector.MatchLabels["app.kubernetes.io/name"], "-")
					all = all || name == ""
					names = append(names, name)
				}
			}
			for _, p := range rule.Ports {
				if rules++; !all && !saysWho(deployClosed, "("+p.Port.String()+")", names) {
					t.Errorf("policy %s: the help does not say that %q come in to port %s", policy.Name, names, p.Port.String())
				}
			}
		}
	}
	if rules < 10 {
		t.Errorf("%d rules with a port", rules)
	}
}

// saysWho says whether all names come between this port and the next one.
func saysWho(text, port string, names []string) bool {
	for _, after := range strings.Split(text, port)[1:] {
		clause, _, _ := strings.Cut(strings.ToLower(after), "(")
		if !slices.ContainsFunc(names, func(name string) bool { return !strings.Contains(clause, name) }) {
			return true
		}
	}
	return false
}
