package assemble

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// tested runs with this machine's platform and a tester.
func tested(t *testing.T, test Tester) Options {
	t.Helper()
	platform, err := recipes.ParsePlatform("linux/" + runtime.GOARCH)
	if err != nil {
		t.Skip(err)
	}
	o := options(t, nil, platform)
	o.Test = test
	return o
}

// Every image is tested, one at a time, with the files of its layers; its
// result is signed with it, and a second run with the same result writes
// nothing.
func TestTestsComeBeforeTags(t *testing.T) {
	var running atomic.Int32
	seen := map[string]int{}
	o := tested(t, func(ctx context.Context, image *recipes.Image, find contract.Source) ([]byte, error) {
		if running.Add(1) != 1 {
			t.Error("two tests run at a time")
		}
		defer running.Add(-1)
		i, err := find(ctx, image)
		if err != nil {
			return nil, err
		}
		for _, l := range i.Layers {
			info, err := os.Stat(l.File)
			if err != nil || info.Size() != l.Size || len(l.DiffID) != 64 || len(l.Digest) != 64 {
				t.Errorf("%s: %+v, %v", image.Ref, l, err)
			}
		}
		seen[image.Name] = len(i.Layers)
		return []byte(`{"result":"PASSED"}`), nil
	})
	mustRun(t, o)
	if len(seen) != 2 || seen["service"] <= seen["base-debian"] {
		t.Errorf("tested: %v", seen)
	}
	attested := 0
	blobs, _ := filepath.Glob(filepath.Join(o.Dest.(*publish.Layout).Dir(), "service", "blobs", "sha256", "*"))
	for _, name := range blobs {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(contract.PredicateType)) {
			attested++
		}
	}
	if attested == 0 {
		t.Error("no attestation of the test")
	}
	before := snapshot(t, o)
	for _, i := range mustRun(t, o).Images {
		if i.Written != 0 {
			t.Errorf("%s: %d written again", i.Ref, i.Written)
		}
	}
	if len(snapshot(t, o)) != len(before) {
		t.Error("a second run writes files")
	}
}

// An image that fails its test is not tagged.
func TestAFailedTestKeepsTheTag(t *testing.T) {
	o := tested(t, func(_ context.Context, image *recipes.Image, _ contract.Source) ([]byte, error) {
		if image.Name == "service" {
			return nil, &contract.UnmetError{Images: []string{"service"}}
		}
		return []byte(`{}`), nil
	})
	_, err := Run(t.Context(), o)
	var unmet *contract.UnmetError
	if !errors.As(err, &unmet) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.Dest.(*publish.Layout).Dir(), "service", "index.json")); err == nil {
		t.Error("it was published")
	}
}
