package assemble

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Two builds of one program that differ in one string have two identities,
// and each is the one that the Go command reads.
func TestBuildIDTellsProgramsApart(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nvar version string\n\nfunc main() { println(version) }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, version := range []string{"1", "2"} {
		program := filepath.Join(dir, "program"+version)
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -X main.version="+version, "-o", program, source)
		build.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		f, err := os.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want, err := exec.Command("go", "tool", "buildid", program).Output()
		if err != nil {
			t.Fatal(err)
		}
		got := goBuildID(f)
		if got == "" || got != strings.TrimSpace(string(want)) {
			t.Errorf("build id %q, go reads %q", got, want)
		}
		ids[got] = true
	}
	if len(ids) != 2 {
		t.Errorf("two programs have the identities %v", ids)
	}
}

// What has no such note is hashed.
func TestBuildIDOfOtherFiles(t *testing.T) {
	var header bytes.Buffer
	header.WriteString(elf.ELFMAG)
	for _, content := range [][]byte{nil, []byte("#!/bin/sh\n"), header.Bytes()} {
		if id := goBuildID(bytes.NewReader(content)); id != "" {
			t.Errorf("%q has the build id %q", content, id)
		}
	}
}
