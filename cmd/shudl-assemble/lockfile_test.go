package main

import (
	"runtime"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shudl/shudl-assemble/layers/assemble/assembletest"
	"github.com/shudl/shudl-assemble/recipes"
)

// lockOfFiles is the command `lock-of-files DIR` of the scripts: the Debian
// lock of recipes that hold nothing but files, which takes no network.
func lockOfFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock-of-files DIR")
	}
	dir := ts.MkAbs(args[0])
	set, err := recipes.Open(dir)
	ts.Check(err)
	l := assembletest.NewLock()
	l.Go = runtime.Version()
	for _, p := range recipes.Platforms() {
		images, err := set.Images(recipes.Debian, p)
		ts.Check(err)
		for _, image := range images {
			l.Put(recipes.LockedImage{Ref: image.Ref, Platform: p, Sources: image.Sources()})
		}
	}
	ts.Check(l.WriteFile(recipes.LockPath(dir, recipes.Debian)))
}
