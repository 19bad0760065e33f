package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/shudl/shudl-assemble/layers/assemble"
)

func (a *app) outputFlag(f *pflag.FlagSet) {
	f.StringVar(&a.output, "output", "", "results as table, refs or json (default: a table on a terminal, else one name:tag@sha256:… a line)")
}

// terminal says whether a writer is one.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// resultWriter reads --output.
func (a *app) resultWriter() (func(assemble.Result) error, error) {
	form := a.output
	if form == "" {
		form = "refs"
		if terminal(a.stdout) {
			form = "table"
		}
	}
	switch form {
	case "table":
		return func(r assemble.Result) error { return writeTable(a.stdout, r) }, nil
	case "refs":
		return func(r assemble.Result) error { return writeRefs(a.stdout, r) }, nil
	case "json":
		return func(r assemble.Result) error { return writeJSON(a.stdout, r) }, nil
	}
	return nil, usage(fmt.Errorf("--output %s: it is table, refs or json", form))
}

func writeRefs(w io.Writer, r assemble.Result) error {
	for _, i := range r.Images {
		if _, err := fmt.Fprintf(w, "%s@%s\n", i.Reference, i.Digest); err != nil {
			return err
		}
	}
	return nil
}

// imageResult is one image of --output json. Sizes are in bytes.
type imageResult struct {
	Image     string           `json:"image"`
	Reference string           `json:"reference"`
	Tags      []string         `json:"tags"`
	Digest    string           `json:"digest"`
	Key       string           `json:"key,omitempty"`
	Budget    int64            `json:"budget,omitempty"`
	Written   int              `json:"written"`
	Moved     []string         `json:"moved"`
	Platforms []platformResult `json:"platforms"`
}

type platformResult struct {
	Platform     string `json:"platform"`
	Digest       string `json:"digest"`
	Version      string `json:"version"`
	Own          int    `json:"layers"`
	Inherited    int    `json:"inheritedLayers"`
	Size         int64  `json:"size"`
	Uncompressed int64  `json:"uncompressed,omitempty"` // not known of layers that another job packed
	Cached       bool   `json:"cached"`
}

func writeJSON(w io.Writer, r assemble.Result) error {
	images := []imageResult{}
	for _, i := range r.Images {
		one := imageResult{
			Image: i.Ref.String(), Reference: i.Reference, Tags: i.Tags, Digest: i.Digest, Key: i.KeyID,
			Budget: i.Budget, Written: i.Written, Moved: append([]string{}, i.Moved...), Platforms: []platformResult{},
		}
		for _, p := range i.Platforms {
			one.Platforms = append(one.Platforms, platformResult{
				Platform: string(p.Platform), Digest: "sha256:" + string(p.Digest), Version: p.Version,
				Own: p.Own, Inherited: p.Inherited, Size: p.Size, Uncompressed: p.Uncompressed, Cached: p.Cached,
			})
		}
		images = append(images, one)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"images": images})
}

// writeTable writes a line for each image and platform; sizes are in 10^6
// bytes, as budgets are.
func writeTable(w io.Writer, r assemble.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IMAGE\tTAG\tDIGEST\tLAYERS\tCOMPRESSED\tUNCOMPRESSED\tBUDGET\tKEY")
	for _, i := range r.Images {
		for _, p := range i.Platforms {
			name, digest := i.Ref.String(), i.Digest
			if len(i.Platforms) > 1 {
				name += " " + strings.TrimPrefix(string(p.Platform), "linux/")
				digest = "sha256:" + string(p.Digest)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d+%d\t%s\t%s\t%s\t%s\n", name, i.Tags[0], short(digest),
				p.Own, p.Inherited, megabytes(p.Size), known(p.Uncompressed), known(i.Budget), orDash(i.KeyID))
		}
	}
	return t.Flush()
}

// short is a digest as a person compares it: its first twelve digits.
func short(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return algorithm + ":" + hex[:min(12, len(hex))]
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// known is a size, or a dash where there is none: no budget, or layers that
// another job has packed.
func known(n int64) string {
	if n == 0 {
		return "-"
	}
	return megabytes(n)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
