package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMedians(t *testing.T) {
	got := medians([]sample{{wall: 3 * time.Second, peak: 1}, {wall: time.Second, peak: 5}, {wall: 2 * time.Second, peak: 3}})
	if got.wall != 2*time.Second || got.peak != 3 {
		t.Errorf("%+v", got)
	}
}

func TestLine(t *testing.T) {
	r := row{work: "work", goal: "≤ 1"}
	first := sample{wall: 2 * time.Second, cpu: 3 * time.Second, peak: 50e6, written: 1e6}
	got := r.line(0, "ours", first, first, time.Second)
	if want := "| work | ours | 2.00 s | 3.00 s | 50.0 MB | 1.0 MB | – | 1.00 | 2.00 | ≤ 1 |"; got != want {
		t.Errorf("%s", got)
	}
	got = r.line(1, "other", sample{wall: time.Second, sent: 2e6, requests: 7}, first, 0)
	if want := "|  | other | 1.00 s | 0.00 s | 0.0 MB | 0.0 MB | 2.0 MB, 7 requests | 0.50 | – |  |"; got != want {
		t.Errorf("%s", got)
	}
	if strings.Count(header, "|") != 22 {
		t.Error("the header has other columns")
	}
}

// A row ends with an error where a contender makes other bytes.
func TestWrongBytesEndTheRun(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree.tar")
	if err := writeTree(t.Context(), tree, 1); err != nil {
		t.Skipf("skipped, because /usr/lib has no files here: %v", err)
	}
	found, err := filesOf(tree)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d files, %v", len(found), err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "layout"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "layout", "index.json"), []byte(`{"manifests":[]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := same(tree, filepath.Join(dir, "layout")); err == nil {
		t.Error("an empty image passes for the tree")
	}
}
