package recipes

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pageSections are what some heading of every page names, in whatever case.
var pageSections = []string{"quick start", "variables", "ports", "volumes", "users", "health", "logs", "metrics", "upgrade", "troubleshooting"}

// An entry of the troubleshooting part is its symptom as the heading, and then
// exactly these.
var entryParts = []*regexp.Regexp{
	regexp.MustCompile(`^- Cause: \S.*\.$`),
	regexp.MustCompile("^- Shown by: `[^`]+`$"),
	regexp.MustCompile(`^- Fix: \S.*\.$`),
}

// formOf says what is wrong with the form of a page: a purpose below the title,
// the sections, and entries of four parts. A service says how it logs in
// development and in production.
func formOf(page string, service bool) []string {
	var faults, headings []string
	blocks := strings.Split(strings.TrimSpace(page), "\n\n")
	if len(blocks) < 2 || !strings.HasPrefix(blocks[0], "# ") || strings.HasPrefix(blocks[1], "#") {
		faults = append(faults, "the page does not begin with its title and what the image is for")
	}
	section := ""
	for i, block := range blocks {
		switch {
		case strings.HasPrefix(block, "## "):
			section = strings.ToLower(strings.TrimPrefix(block, "## "))
			headings = append(headings, section)
			if i+1 == len(blocks) || strings.HasPrefix(blocks[i+1], "## ") {
				faults = append(faults, fmt.Sprintf("section %q is empty", section))
			}
		case section != "troubleshooting":
		case strings.HasPrefix(block, "### "):
			if i+1 == len(blocks) || !isEntry(blocks[i+1]) {
				faults = append(faults, fmt.Sprintf("want cause, command that shows it and fix, in this order, after %q", block))
			}
		case !strings.HasPrefix(blocks[i-1], "### "):
			faults = append(faults, fmt.Sprintf("no symptom stands above %q", block))
		}
	}
	for _, want := range pageSections {
		if !slices.ContainsFunc(headings, func(have string) bool { return strings.Contains(have, want) }) {
			faults = append(faults, "no section on "+want)
		}
	}
	if service {
		for _, mode := range []string{"Development:", "Production:"} {
			if !strings.Contains(page, mode) {
				faults = append(faults, "the page does not say how it logs, "+mode)
			}
		}
	}
	return faults
}

func isEntry(block string) bool {
	lines := strings.Split(block, "\n")
	if len(lines) != len(entryParts) {
		return false
	}
	for i, part := range entryParts {
		if !part.MatchString(lines[i]) {
			return false
		}
	}
	return true
}

// The form is held: each of these pages has one fault.
func TestPageForm(t *testing.T) {
	good := "# x\n\nFor this.\n\n"
	for _, section := range pageSections[:9] {
		good += "## " + section + "\n\nDevelopment: Production:\n\n"
	}
	good += "## troubleshooting\n\n### it fails\n\n- Cause: a.\n- Shown by: `b`\n- Fix: c.\n"
	if faults := formOf(good, true); len(faults) > 0 {
		t.Fatalf("a good page: %v", faults)
	}
	for _, change := range [][2]string{
		{"For this.\n\n", ""},
		{"## upgrade\n", "## onwards\n"},
		{"- Cause: a.\n", ""},
		{"`b`", "b"},
		{"- Fix: c.", "- Fix: "},
		{"### it fails\n\n", ""},
		{"- Fix: c.", "- Fix: c.\n\nand more"},
	} {
		page := strings.Replace(good, change[0], change[1], 1)
		if faults := formOf(page, true); len(faults) == 0 {
			t.Errorf("%q for %q: no fault", change[1], change[0])
		}
	}
}
