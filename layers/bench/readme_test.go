package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestREADME holds the README to the suite: it says what each row is, and its
// table, where it has one, is of the rows that the suite has, in their order.
func TestREADME(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(data), "\n## Speed\n")
	section, _, _ = strings.Cut(section, "\n## ")
	text, rest, begins := strings.Cut(section, "<!-- speed: the table that layers/bench prints -->\n")
	table, _, ends := strings.Cut(rest, "<!-- /speed -->\n")
	if !begins || !ends {
		t.Fatal("the place of the table is not marked in the section Speed")
	}
	for _, r := range rows() {
		if !strings.Contains(text, "`"+r.key+"`") {
			t.Errorf("the row %s is not explained", r.key)
		}
	}
	if err := sameRows(table); err != "" {
		t.Error(err)
	}
}

// sameRows says what a table has other than the suite; nothing where there is
// no table.
func sameRows(table string) string {
	_, table, found := strings.Cut(table, "| work |")
	if !found {
		return ""
	}
	table = "| work |" + table
	if !strings.HasPrefix(table, header) {
		return "the table has other columns than the suite"
	}
	var got, want []string
	for line := range strings.Lines(strings.TrimPrefix(table, header)) {
		if cells := strings.Split(line, "|"); len(cells) > 1 && strings.TrimSpace(cells[1]) != "" {
			got = append(got, strings.TrimSpace(cells[1]))
		}
	}
	for _, r := range rows() {
		want = append(want, r.work)
	}
	if !slices.Equal(got, want) {
		return "the table has the rows\n" + strings.Join(got, "\n") + "\nand the suite\n" + strings.Join(want, "\n")
	}
	return ""
}

func TestSameRows(t *testing.T) {
	table := "2 cores\n\n" + header
	for _, r := range rows() {
		table += r.line(0, "ours", sample{}, sample{}, 0) + "\n" + r.line(1, "other", sample{}, sample{}, 0) + "\n"
	}
	if err := sameRows(table); err != "" {
		t.Error(err)
	}
	for what, other := range map[string]string{
		"a row more":             table + "| more | ours | 1 s |\n",
		"a row less":             strings.Replace(table, rows()[1].work, "", 1),
		"another work":           strings.Replace(table, rows()[0].work, "a tree", 1),
		"another column":         strings.Replace(table, "| peak memory", "| memory", 1),
		"nothing but its header": header,
	} {
		if sameRows(other) == "" {
			t.Errorf("%s passes", what)
		}
	}
}
