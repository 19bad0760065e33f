package main

import (
	"fmt"
	"slices"
	"strings"
)

// The dimensions of the table. Every combination is a cell.
func signers() []string { return []string{"key", "keyless"} }
func places() []string  { return []string{"registry", "referrers", "layout"} }
func formats() []string { return []string{"dual", "classic", "bundle"} }
func commands() []string {
	return []string{"verify", "index", "spdx", "cyclonedx", "slsa", "tree", "download"}
}

// What the words of the table mean, for its legend.
const legend = `  signer   key: a key pair that cosign made; keyless: a certificate of Fulcio's, logged in Rekor, timestamped
  place    registry: Debian's docker-registry, without the referrers API; referrers: ociregistry, with it;
           layout: an OCI layout of one tag, which copy made
  verify   cosign verify of an image; index: of an index of two platforms
  spdx, cyclonedx, slsa: cosign verify-attestation --type spdxjson, cyclonedx, slsaprovenance1
  tree     cosign tree; download: cosign download attestation`

// cell is one question: does this client, by this command, take what was
// signed so and lies there?
type cell struct {
	signer, place, format string
	client                client
	command               string
}

func (c cell) String() string {
	return strings.Join([]string{c.signer, c.place, c.format, c.client.name, c.command}, " ")
}

// cells is the whole table.
func cells(clients []client) []cell {
	var all []cell
	for _, signer := range signers() {
		for _, place := range places() {
			for _, format := range formats() {
				for _, client := range clients {
					for _, command := range commands() {
						all = append(all, cell{signer, place, format, client, command})
					}
				}
			}
		}
	}
	return all
}

// gap is a part of the table in which nothing is to be taken, and why. An
// empty list means every value of its dimension.
type gap struct {
	signers, places, formats, clients, commands []string
	why                                         string
}

func (g gap) holds(c cell) bool {
	for _, d := range []struct {
		values []string
		value  string
	}{
		{g.signers, c.signer}, {g.places, c.place}, {g.formats, c.format}, {g.clients, c.client.name}, {g.commands, c.command},
	} {
		if len(d.values) > 0 && !slices.Contains(d.values, d.value) {
			return false
		}
	}
	return true
}

// gaps are what the clients of others cannot do.
func gaps() []gap {
	return []gap{
		{places: []string{"layout"}, commands: []string{"tree", "download"},
			why: "cosign reads layouts in verify and verify-attestation only"},
		{places: []string{"layout"}, formats: []string{"bundle"}, clients: []string{cosign2},
			why: "cosign 2 does not look for bundles in a layout"},
		{places: []string{"layout"}, formats: []string{"bundle"}, clients: []string{cosign3}, commands: []string{"index"},
			why: "cosign 3 looks for bundles of an image in a layout, not of an index"},
	}
}

// gapOf returns the number, from 1, of the gap that a cell lies in, or 0.
func gapOf(c cell) int {
	return 1 + slices.IndexFunc(gaps(), func(g gap) bool { return g.holds(c) })
}

// grid prints the answers: a line for each signer, place and format, a column
// for each client and command.
func grid(clients []client, answers map[cell]string) string {
	var b strings.Builder
	b.WriteString(fmt.Sprintf("%-28s", ""))
	for _, client := range clients {
		b.WriteString(fmt.Sprintf(" %-*s", 10*len(commands()), client.name))
	}
	b.WriteString(fmt.Sprintf("\n%-8s %-10s %-8s", "signer", "place", "format"))
	for range clients {
		for _, command := range commands() {
			b.WriteString(fmt.Sprintf(" %-9s", command))
		}
	}
	b.WriteString("\n")
	for i, c := range cells(clients) {
		if i%(len(clients)*len(commands())) == 0 {
			b.WriteString(fmt.Sprintf("%-8s %-10s %-8s", c.signer, c.place, c.format))
		}
		answer, ok := answers[c]
		if !ok {
			answer = "MISSING"
		}
		b.WriteString(fmt.Sprintf(" %-9s", answer))
		if (i+1)%(len(clients)*len(commands())) == 0 {
			b.WriteString("\n")
		}
	}
	return b.String()
}
