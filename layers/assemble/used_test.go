package assemble

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// TestPushesKeepWhatTheyUse lets everything in the store become older than
// garbage collection leaves, has pushes that change nothing, or move the base,
// go by, and collects: the next push finds all that it needs.
func TestPushesKeepWhatTheyUse(t *testing.T) {
	to, count := startCounted(t)
	o := options(t, nil)
	artefact, unused := fetchtest.Put(t, o.Store, []byte("artefact")), fetchtest.Put(t, o.Store, []byte("unused"))
	for i := range o.Lock.Images {
		o.Lock.Images[i].Artifacts = []recipes.Artifact{{Kind: recipes.KindTarball, Name: "a", Version: "1", PURL: "pkg:generic/a@1", SHA256: artefact, Size: 8}}
	}
	o.Dest = to()
	mustRun(t, o)
	change := map[string]string{"base-debian/files/usr/bin/tool": "#!/bin/sh\necho another base\n"}
	moved := changed(t, o, to, change)
	moved.Lock = o.Lock
	for name, run := range map[string]Options{"nothing": o, "the base": moved} {
		ageAll(t, o.Store)
		run.Dest = to()
		mustRun(t, run)
		count.since()
		if _, err := o.Store.GC(t.Context(), fetch.GCOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, ok := o.Store.Has(artefact); !ok {
			t.Errorf("%s changed: the artefact is gone", name)
		}
		if _, ok := o.Store.Has(unused); ok {
			t.Errorf("%s changed: what nobody uses stays", name)
		}
		run.Dest = to()
		for _, img := range mustRun(t, run).Images {
			if !img.Platforms[0].Cached || img.Written != 0 {
				t.Errorf("%s changed: %s was made or written again", name, img.Ref)
			}
		}
		if requests, _ := count.since(); len(requests) > 2*len(run.Refs) {
			t.Errorf("%s changed: %d requests", name, len(requests))
		}
	}
}

// ageAll makes every object and record of a store one that nobody has used
// for longer than garbage collection allows.
func ageAll(t *testing.T, s *fetch.Store) {
	t.Helper()
	then := time.Now().Add(-40 * 24 * time.Hour)
	for _, dir := range []string{"sha256", "records"} {
		err := filepath.WalkDir(filepath.Join(s.Dir(), dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return os.Chtimes(path, then, then)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
