package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract"
)

// testWriter reads --output of test.
func (a *app) testWriter() (func([]contract.Report) error, error) {
	switch a.output {
	case "", "table":
		return func(r []contract.Report) error { return writeReports(a.stdout, r) }, nil
	case "json":
		return func(r []contract.Report) error {
			enc := json.NewEncoder(a.stdout)
			enc.SetIndent("", "  ")
			return enc.Encode(map[string]any{"images": append([]contract.Report{}, r...)})
		}, nil
	}
	return nil, usage(fmt.Errorf("--output %s: it is table or json", a.output))
}

// writeReports writes what is not met, with the logs, what could not be shown,
// and a line for each image.
func writeReports(w io.Writer, reports []contract.Report) error {
	for _, r := range reports {
		for _, c := range r.Checks {
			if c.OK {
				continue
			}
			fmt.Fprintf(w, "NOT MET  %s  %s\n         %s\n", r.Image, c.Name, indentBy(c.Found, "         "))
			if c.Log != "" {
				fmt.Fprintf(w, "    | %s\n", indentBy(c.Log, "    | "))
			}
		}
	}
	for _, text := range unshown(reports) {
		fmt.Fprintf(w, "not shown  %s\n", text)
	}
	for _, r := range reports {
		for _, s := range r.Outages {
			fmt.Fprintf(w, "writes stopped  %s  %s: %s\n", r.Image, s.Event, seconds(s.Took))
		}
		if r.Rows > 0 {
			fmt.Fprintf(w, "rows kept  %s  all %d that were acknowledged\n", r.Image, r.Rows)
		}
	}
	if err := writeStacks(w, reports); err != nil {
		return err
	}
	reports = slices.DeleteFunc(slices.Clone(reports), func(r contract.Report) bool { return r.Stack })
	if len(reports) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IMAGE\tDIGEST\tCONTRACT\tCHECKS\tBOOT\tSTOP\tMEMORY\tCOMPRESSED\tBUDGET\tTOOK\tIDS")
	for _, r := range reports {
		verdict := "met"
		if !r.Met() {
			verdict = "NOT MET"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Image, short(r.Digest), verdict, len(r.Checks)-r.Failed(), len(r.Checks),
			seconds(r.Boot), seconds(r.Stop), known(r.Memory), megabytes(r.Size), known(r.Budget), seconds(r.Took), r.IDs)
	}
	return t.Flush()
}

// writeStacks writes of each stack what its steps took, its containers, and
// all of it.
func writeStacks(w io.Writer, reports []contract.Report) error {
	for _, r := range reports {
		if !r.Stack {
			continue
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "STEP\tTOOK")
		for _, c := range r.Checks {
			if c.Took > 0 {
				fmt.Fprintf(t, "%s\t%s\n", c.Name, seconds(c.Took))
			}
		}
		fmt.Fprintln(t, "\nCONTAINER\tIMAGE\tDIGEST\tBOOT\tMEMORY")
		var memory int64
		for _, p := range r.Parts {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", p.Container, p.Image, short(p.Digest), seconds(p.Boot), known(p.Memory))
			memory += p.Memory
		}
		if err := t.Flush(); err != nil {
			return err
		}
		verdict := "met"
		if !r.Met() {
			verdict = "NOT MET"
		}
		fmt.Fprintf(w, "\nstack %s  %s  %d/%d checks  booted in %s  took %s  peak memory %s, summed over containers  ids %s\n", r.Image, verdict,
			len(r.Checks)-r.Failed(), len(r.Checks), seconds(r.Boot), seconds(r.Took), known(memory), r.IDs)
	}
	return nil
}

// unshown tells each thing that could not be shown once, with its images.
func unshown(reports []contract.Report) []string {
	var order []string
	images := map[string][]string{}
	for _, r := range reports {
		for _, text := range r.NotShown {
			if images[text] == nil {
				order = append(order, text)
			}
			images[text] = append(images[text], r.Image)
		}
	}
	for i, text := range order {
		order[i] = strings.Join(images[text], ", ") + ": " + text
	}
	return order
}

func indentBy(text, by string) string { return strings.ReplaceAll(text, "\n", "\n"+by) }

func seconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
