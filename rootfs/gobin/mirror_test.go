package gobin

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

const (
	helloModule  = "example.test/Hello" // a capital letter, which mirrors escape
	helloVersion = "v1.2.3"
)

// mirror makes a module mirror in a folder: a program, and the module that it
// uses.
func mirror(t *testing.T, goMod string) string {
	t.Helper()
	dir := t.TempDir()
	publish(t, dir, "example.test/!hello", helloVersion, "example.test/Hello@"+helloVersion, map[string]string{
		"go.mod":     goMod,
		"LICENSE":    "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software and associated documentation files",
		"main.go":    "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.test/dep\"\n)\n\nvar version = \"none\"\n\nfunc main() { fmt.Println(dep.Greeting(), version) }\n",
		"evil.go":    "//go:build evil\n\npackage main\n\nfunc init() { panic(\"a tag of the user's\") }\n",
		"lib/lib.go": "package lib\n",
	})
	publish(t, dir, "example.test/dep", "v0.1.0", "example.test/dep@v0.1.0", map[string]string{
		"go.mod": "module example.test/dep\n\ngo 1.24\n", "dep.go": "package dep\n\nfunc Greeting() string { return \"hello\" }\n",
	})
	return dir
}

const helloMod = "module example.test/Hello\n\ngo 1.24\n\nrequire example.test/dep v0.1.0\n"

func publish(t *testing.T, dir, escaped, version, prefix string, files map[string]string) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	var members []string
	for name, text := range files {
		members = append(members, prefix+"/"+name, text)
	}
	for name, data := range map[string]string{version + ".zip": string(archivetest.Zip(t, members...)), version + ".mod": files["go.mod"], version + ".info": `{"Version":"` + version + `"}`, "list": version + "\n"} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// modCache is an empty module cache; the go command makes it read-only.
func modCache(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gobin-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(p, 0o755)
			}
			return err
		})
		os.RemoveAll(dir)
	})
	return dir
}

func fetcher(t *testing.T, mirror string) *fetch.Fetcher {
	t.Helper()
	return &fetch.Fetcher{Store: fetchtest.NewStore(t), Mirrors: fetch.Mirrors{fetch.Go: {"file:" + mirror}}}
}

// user sets the environment of a user whose mirror is the folder.
func user(t *testing.T, mirror string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command here")
	}
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(mirror))
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GOMODCACHE", modCache(t))
}

func hello() recipes.GoSource {
	return recipes.GoSource{Package: helloModule, Version: helloVersion, Into: "usr/bin/hello", LDFlags: []string{"-s", "-w", "-X main.version=7"}}
}
