package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/shudl/shudl-assemble/layers/verify"
)

// verified is a reference that was checked, and how that ended.
type verified struct {
	report verify.Report
	err    error
}

// writeVerified writes a table for each reference, and below it all that is to
// be known of what failed.
func writeVerified(w io.Writer, all []verified) error {
	for n, v := range all {
		if n > 0 {
			fmt.Fprintln(w)
		}
		if err := writeReport(w, v); err != nil {
			return err
		}
	}
	return nil
}

func writeReport(w io.Writer, v verified) error {
	r := v.report
	name := printable(r.Reference)
	if r.Digest != "" && !strings.HasSuffix(name, "@"+r.Digest) {
		name += "@" + r.Digest
	}
	word := "FAILED"
	if r.OK {
		word = "ok"
	}
	fmt.Fprintf(w, "%s: %s\n", name, word)
	if len(r.Findings) == 0 {
		return nil // the error says why
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RESULT\tCHECK\tIMAGE\tPLATFORM\tDIGEST\tFOUND")
	for _, f := range r.Findings {
		result, found := "ok", printable(f.Found)
		if !f.OK {
			result, found = "FAILED", clipped(found)
		}
		if f.OK {
			found += others(f)
		}
		digest := "-"
		if f.Digest != "" {
			digest = short(f.Digest)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", result, f.Check, printable(f.Image), orDash(printable(f.Platform)), digest, found)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		writeFinding(w, f)
	}
	for _, line := range r.Skipped {
		fmt.Fprintf(w, "not checked: %s\n", printable(line))
	}
	return nil
}

// others counts what else lies there; the JSON form says what.
func others(f verify.Finding) string {
	refused := 0
	for _, line := range f.Others {
		if strings.HasPrefix(line, "refused: ") {
			refused++
		}
	}
	switch {
	case len(f.Others) == 0:
		return ""
	case refused == 0:
		return fmt.Sprintf(" (and %d more)", len(f.Others))
	}
	return fmt.Sprintf(" (and %d more, %d of them refused)", len(f.Others), refused)
}

// writeFinding writes what is to be known of a finding that failed.
func writeFinding(w io.Writer, f verify.Finding) {
	if f.OK {
		return
	}
	fmt.Fprintf(w, "%s of %s %s failed:\n", f.Check, printable(f.Image), f.Digest)
	fmt.Fprintf(w, "  expected: %s\n  found: %s\n", printable(f.Expected), printable(f.Found))
	if f.Advice != "" {
		fmt.Fprintf(w, "  do: %s\n", printable(f.Advice))
	}
}

// clipped is the beginning of a text that stands whole elsewhere.
func clipped(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// printable keeps what a registry wrote from moving the cursor of a terminal, or
// from looking like lines of ours.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// reportSchema is the version of the JSON form; it changes when a field goes
// or means something else.
const reportSchema = 1

type reportsJSON struct {
	Schema     int          `json:"schema"`
	OK         bool         `json:"ok"`
	Status     status       `json:"status"` // the command's exit status
	References []reportJSON `json:"references"`
}

type reportJSON struct {
	Reference string        `json:"reference"`
	Digest    string        `json:"digest"`
	Signers   string        `json:"signers"`
	OK        bool          `json:"ok"`
	Status    status        `json:"status"`
	Error     string        `json:"error,omitempty"`
	Skipped   []string      `json:"skipped"`
	Findings  []findingJSON `json:"findings"`
}

type findingJSON struct {
	Check    string   `json:"check"`
	Image    string   `json:"image"`
	Digest   string   `json:"digest"`
	Platform string   `json:"platform"`
	OK       bool     `json:"ok"`
	Status   status   `json:"status"`
	Expected string   `json:"expected"`
	Found    string   `json:"found"`
	Advice   string   `json:"advice"`
	Others   []string `json:"others"`
}

func writeVerifiedJSON(w io.Writer, all []verified) error {
	out := reportsJSON{Schema: reportSchema, OK: true, References: []reportJSON{}}
	for _, v := range all {
		one := reportJSON{
			Reference: v.report.Reference, Digest: v.report.Digest, Signers: v.report.Signers, OK: v.err == nil,
			Skipped: append([]string{}, v.report.Skipped...), Findings: []findingJSON{},
		}
		if v.err != nil {
			one.Status, one.Error = statusOf(v.err), redact(v.err.Error())
			if out.OK {
				out.OK, out.Status = false, one.Status
			}
		}
		for _, f := range v.report.Findings {
			finding := findingJSON{
				Check: f.Check, Image: f.Image, Digest: f.Digest, Platform: f.Platform, OK: f.OK,
				Expected: f.Expected, Found: redact(f.Found), Advice: f.Advice, Others: append([]string{}, f.Others...),
			}
			if !f.OK {
				finding.Status = statusOf(f.Class)
			}
			one.Findings = append(one.Findings, finding)
		}
		out.References = append(out.References, one)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
