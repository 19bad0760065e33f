package publish_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

func TestSwap(t *testing.T) {
	for _, where := range everywhere(t) {
		t.Run(where.name, func(t *testing.T) {
			store, key := t.TempDir(), attesttest.NewKey(t)
			first := mustPublish(t, where.dest, postgresql().release(t, store), publish.Options{Signer: key})
			other := postgresql()
			other.version, other.content = "17.13", "newer"
			r := other.release(t, store)
			r.Tags, r.Fixed = []string{"17.13"}, ""
			second := mustPublish(t, where.dest, r, publish.Options{Signer: key})
			repo, _ := where.dest.Repository("postgresql")
			m, err := repo.Manifest(t.Context(), second.Digest)
			if err != nil {
				t.Fatal(err)
			}
			tags := []string{"new", "latest"}
			for name, was := range map[string]map[string]digest.Digest{
				"nothing":      nil,
				"another":      {"latest": digest.FromString("x")},
				"one too many": {"latest": first.Digest, "new": first.Digest},
			} {
				if err := repo.Swap(t.Context(), m, tags, was); !errors.Is(err, publish.ErrChanged) {
					t.Errorf("%s: %v, want ErrChanged", name, err)
				}
				if _, err := repo.Resolve(t.Context(), "new"); !errors.Is(err, publish.ErrNoTag) {
					t.Errorf("%s: a tag moved: %v", name, err)
				}
			}
			was := map[string]digest.Digest{"latest": first.Digest}
			for range 2 { // the second time both name it already
				if err := repo.Swap(t.Context(), m, tags, was); err != nil {
					t.Error(err)
				}
			}
			if d, err := repo.Resolve(t.Context(), "latest"); err != nil || d.Digest != second.Digest {
				t.Errorf("latest is %s: %v", d.Digest, err)
			}
		})
	}
}

// Other tools may give one tag to several entries of a layout: the first
// counts where a tag is read or moved, and where another is written beside it.
func TestTagThatALayoutHasTwice(t *testing.T) {
	dir, store, key := t.TempDir(), t.TempDir(), attesttest.NewKey(t)
	dest := publish.NewLayout(dir)
	repo, _ := dest.Repository("postgresql")
	var images []ocispec.Descriptor
	for _, version := range []string{"17.12", "17.13"} {
		p := postgresql()
		p.version, p.content = version, version
		r := p.release(t, store)
		r.Tags, r.Fixed = []string{version}, ""
		mustPublish(t, dest, r, publish.Options{Signer: key})
		d, err := repo.Resolve(t.Context(), version)
		if err != nil {
			t.Fatal(err)
		}
		d.Annotations = map[string]string{ocispec.AnnotationRefName: "twice"}
		images = append(images, d)
	}
	path := filepath.Join(dir, "postgresql", "index.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at, first := range images { // whichever digest is the smaller
		other := images[1-at]
		var index ocispec.Index
		err := json.Unmarshal(raw, &index)
		index.Manifests = append(index.Manifests, first, other)
		twice, _ := json.Marshal(index)
		m, readErr := repo.Manifest(t.Context(), other.Digest)
		if err := errors.Join(err, readErr, os.WriteFile(path, twice, 0o644), repo.Tag(t.Context(), m, []string{"beside"})); err != nil {
			t.Fatal(err)
		}
		if d, err := repo.Resolve(t.Context(), "twice"); err != nil || d.Digest != first.Digest {
			t.Errorf("it is %s, want %s: %v", d.Digest, first.Digest, err)
		}
		if _, err := repo.Resolve(t.Context(), "nosuch"); !strings.HasSuffix(fmt.Sprint(err), ": there are 17.12, 17.13, beside, twice") {
			t.Error(err)
		}
		// That its last entry is the new image already is no leave to move it.
		if err := repo.Swap(t.Context(), m, []string{"twice"}, map[string]digest.Digest{"twice": digest.FromString("x")}); !errors.Is(err, publish.ErrChanged) {
			t.Errorf("%v, want ErrChanged", err)
		}
		if err := repo.Swap(t.Context(), m, []string{"twice"}, map[string]digest.Digest{"twice": first.Digest}); err != nil {
			t.Error(err)
		}
		if d, err := repo.Resolve(t.Context(), "twice"); err != nil || d.Digest != other.Digest {
			t.Errorf("moved to %s, want %s: %v", d.Digest, other.Digest, err)
		}
	}
}

// atOnce lets several publish the same image name into one layout.
func atOnce(t *testing.T, dir string, pushers []pusher) []error {
	t.Helper()
	var group sync.WaitGroup
	errs := make([]error, len(pushers))
	for i, p := range pushers {
		group.Go(func() { _, errs[i] = publish.Publish(t.Context(), publish.NewLayout(dir), p.release, p.options) })
	}
	group.Wait()
	return errs
}

// A layout loses nothing, whoever writes to it at once: no signature, no
// platform, no tag that never moves.
func TestManyIntoOneLayoutAtOnce(t *testing.T) {
	for range 3 {
		dir, store := t.TempDir(), t.TempDir()
		var pushers []pusher
		for range 6 {
			pushers = append(pushers, pusher{postgresql().release(t, store), publish.Options{Signer: attesttest.NewKey(t)}})
		}
		repo, _ := publish.NewLayout(dir).Repository("postgresql")
		for _, err := range atOnce(t, dir, pushers) {
			if err != nil {
				t.Error(err)
			}
		}
		for _, p := range pushers {
			complete(t, repo, "latest", p.options.Signer.(*attest.Key))
		}
	}
}

func TestPlatformsIntoOneLayoutAtOnce(t *testing.T) {
	store, key := t.TempDir(), attesttest.NewKey(t)
	both := []recipes.Platform{recipes.LinuxAMD64, recipes.LinuxARM64}
	want := mustPublish(t, publish.NewLayout(t.TempDir()), postgresql().release(t, store, both...), publish.Options{Signer: key})
	for range 5 {
		dir := t.TempDir()
		var pushers []pusher
		for _, p := range both {
			r := postgresql().release(t, store, p)
			r.Fixed = ""
			pushers = append(pushers, pusher{r, publish.Options{Signer: key, Merge: true}})
		}
		for _, err := range atOnce(t, dir, pushers) {
			if err != nil {
				t.Error(err)
			}
		}
		repo, _ := publish.NewLayout(dir).Repository("postgresql")
		if d, err := repo.Resolve(t.Context(), "latest"); err != nil || d.Digest != want.Digest {
			t.Errorf("latest is %s, built at once it is %s: %v", d.Digest, want.Digest, err)
		}
	}
}

func TestFixedTagAtOnce(t *testing.T) {
	for range 5 {
		dir, store := t.TempDir(), t.TempDir()
		var pushers []pusher
		for _, content := range []string{"1", "2", "3"} {
			s := postgresql()
			s.content = content
			pushers = append(pushers, pusher{s.release(t, store), publish.Options{Signer: attesttest.NewKey(t)}})
		}
		moved := 0
		for _, err := range atOnce(t, dir, pushers) {
			if errors.Is(err, publish.ErrMoved) {
				moved++
			} else if err != nil {
				t.Error(err)
			}
		}
		if moved != 2 {
			t.Errorf("%d of 3 refused, want 2: the tag never moves", moved)
		}
	}
}

// pushTo makes this test binary a process that pushes: to where, with the key
// in which folder, and what.
const pushTo = "SHUDL_TEST_PUSH_TO"

// TestTwoProcessesOfOneTag has two processes push different images to one tag
// of real registries at once: one of the two is there, whole, and the next
// push brings its own.
func TestTwoProcessesOfOneTag(t *testing.T) {
	if to := os.Getenv(pushTo); to != "" {
		pushOnce(t, strings.Split(to, "|"))
		return
	}
	dir := t.TempDir()
	key, _, err := attest.UserKey(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range withReferrers(t) {
		t.Run(where.name, func(t *testing.T) {
			commands := make([]*exec.Cmd, 2)
			for i := range commands {
				commands[i] = exec.Command(os.Args[0], "-test.run=^TestTwoProcessesOfOneTag$")
				commands[i].Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", pushTo, where.dest, dir, i))
				if err := commands[i].Start(); err != nil {
					t.Fatal(err)
				}
			}
			failed := 0
			for _, c := range commands {
				if err := c.Wait(); err != nil {
					failed++
				}
			}
			repo, _ := where.dest.Repository("postgresql")
			there := 0
			for _, tag := range numberedContent(t, "0", t.TempDir()).Tags {
				if complete(t, repo, tag, key) {
					there++
				}
			}
			t.Logf("%d of 2 failed, %d of 3 tags are there", failed, there)
			if failed == 0 && there != 3 {
				t.Errorf("both report success, and %d of 3 tags are there", there)
			}
			// docker-registry serves files that it is writing
			if failed == 2 && where.name != "docker-registry" && !mixed(t, repo, numberedContent(t, "0", t.TempDir()).Tags) {
				t.Error("both failed, and all tags are of one")
			}
			r := numberedContent(t, "0", t.TempDir())
			mustPublish(t, where.dest, r, publish.Options{Signer: key})
			for _, tag := range r.Tags {
				if !complete(t, repo, tag, key) {
					t.Errorf("the next push does not bring %s", tag)
				}
			}
		})
	}
}

func numberedContent(t *testing.T, content, store string) publish.Release {
	s := postgresql()
	s.content = content
	r := s.release(t, store)
	r.Fixed = ""
	return r
}

func pushOnce(t *testing.T, args []string) {
	key, err := attest.LoadKey(filepath.Join(args[1], attest.PrivateKeyFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Publish(t.Context(), patient(t, args[0]), numberedContent(t, args[2], t.TempDir()), publish.Options{Signer: key}); err != nil {
		t.Fatal(err)
	}
}
