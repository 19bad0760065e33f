package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

func memory(t *testing.T) publish.Memory {
	t.Helper()
	return fetchtest.NewStore(t)
}

// keyed is a release whose SBOM has a key; asked counts how often it is made.
func keyed(t *testing.T, store, said string) (r publish.Release, asked *atomic.Int32) {
	t.Helper()
	r, asked = postgresql().release(t, store), new(atomic.Int32)
	a := &r.Images[0].Attestations[0]
	a.Key = "the same"
	a.Predicate = func(context.Context) ([]byte, error) {
		asked.Add(1)
		return fmt.Appendf(nil, `{"spdxVersion":"SPDX-2.3","name":%q}`, said), nil
	}
	return r, asked
}

// A second push of the same makes no SBOM, and finds the image whole.
func TestPushRemembersWhatItSigned(t *testing.T) {
	for _, where := range everywhere(t) {
		for _, format := range []attest.Format{attest.Dual, attest.Classic, attest.Bundles} {
			t.Run(where.name+"/"+string(format), func(t *testing.T) {
				key, store := attesttest.NewKey(t), t.TempDir()
				release, asked := keyed(t, store, "one")
				options := publish.Options{Signer: key, Format: format, Memory: memory(t)}
				mustPublish(t, where.dest, release, options)
				again := mustPublish(t, where.dest, release, options)
				if again.Blobs+again.Manifests+len(again.Moved) != 0 || asked.Load() != 1 {
					t.Errorf("the second push made the SBOM %d times and wrote: %+v", asked.Load()-1, again)
				}
				repo, _ := where.dest.Repository("postgresql")
				if !completeIn(t, repo, "latest", key, format) {
					t.Error("no tag")
				}
				options.Signer = attesttest.NewKey(t)
				mustPublish(t, where.dest, release, options)
				if asked.Load() != 2 {
					t.Error("another key took what the first had signed")
				}
			})
		}
	}
}

// Whatever single file of a layout is lost, the next push writes the same
// bytes again, though it remembers all that it signed.
func TestWhatIsRememberedIsRepaired(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	release, _ := keyed(t, store, "one")
	options := publish.Options{Signer: attesttest.NewKey(t), Memory: memory(t)}
	mustPublish(t, destination(t, "oci:"+dir), release, options)
	files, err := filepath.Glob(filepath.Join(dir, "postgresql", "blobs", "sha256", "*"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, filepath.Join(dir, "postgresql", "index.json")) {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, destination(t, "oci:"+dir), release, options)
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what it was: %v", filepath.Base(file), err)
		}
	}
}

// A memory is of one repository's name: where another place lacks everything,
// what is remembered is made again; and where it then comes out otherwise,
// all of it is signed anew.
func TestWhatIsRememberedWronglyIsSignedAnew(t *testing.T) {
	store, key := t.TempDir(), attesttest.NewKey(t)
	options := publish.Options{Signer: key, Memory: memory(t)}
	release, _ := keyed(t, store, "one")
	mustPublish(t, destination(t, "oci:"+t.TempDir()), release, options)
	for _, said := range []string{"one", "two"} {
		release, asked := keyed(t, store, said)
		dest := destination(t, "oci:"+t.TempDir())
		mustPublish(t, dest, release, options)
		if asked.Load() == 0 {
			t.Errorf("%s: the SBOM is not made, and the place is new", said)
		}
		repo, _ := dest.Repository("postgresql")
		if !complete(t, repo, "latest", key) {
			t.Errorf("%s: no tag", said)
		}
	}
}
