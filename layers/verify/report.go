package verify

import (
	"fmt"
	"strings"
)

// Finding is one check and how it went.
type Finding struct {
	// Check is what was checked: policy, signature, content, layers, sbom,
	// cyclonedx, provenance, predicate, age, chain, parents.
	Check string
	// Image is the image's own name; Digest that of the manifest that was
	// checked; Platform is empty for an index and where it is not known.
	Image, Digest, Platform string
	OK                      bool
	Expected, Found         string
	// Advice says what to do where the check failed.
	Advice string
	// Others are the other signed things of this kind that lie there, refused
	// or not.
	Others []string
	// Class is the error of a check that failed, one of this package's.
	Class error
}

// Report is what was checked of a reference, in order.
type Report struct {
	Reference string
	Digest    string // empty where there is no such tag
	Signers   string // who may have signed it
	OK        bool
	Findings  []Finding
	// Skipped says what was not checked, and why.
	Skipped []string
}

// err is the first finding that failed, and how many more there are.
func (r Report) err() error {
	var first *Finding
	more := 0
	for i, f := range r.Findings {
		switch {
		case f.OK:
		case first == nil:
			first = &r.Findings[i]
		default:
			more++
		}
	}
	switch {
	case first == nil && len(r.Findings) == 0:
		return fmt.Errorf("%w: nothing was checked", ErrContent)
	case first == nil:
		return nil
	}
	text := first.Found
	if first.Digest != "" {
		text = first.Digest + ": " + text
	}
	if more > 0 {
		return fmt.Errorf("%w: %s: %s (and %d more findings)", first.Class, first.Check, text, more)
	}
	return fmt.Errorf("%w: %s: %s", first.Class, first.Check, text)
}

func (c *checker) pass(f Finding) {
	f.OK, f.Advice = true, ""
	c.report.Findings = append(c.report.Findings, f)
}

func (c *checker) fail(class error, f Finding) {
	f.Class = class
	c.report.Findings = append(c.report.Findings, f)
}

// told is an error without its class, which the finding has already.
func told(err error) string {
	text := err.Error()
	for _, class := range []error{ErrContent, ErrPolicy, ErrAttestation} {
		text = strings.TrimPrefix(text, class.Error()+": ")
	}
	return text
}
