package publish_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// snapshot is every file of a folder with what would change if it were
// written again.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		body, err := os.ReadFile(path)
		files[path] = info.Mode().String() + info.ModTime().String() + string(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestLayoutTwiceIsTheSame(t *testing.T) {
	dir, store, key := t.TempDir(), t.TempDir(), attesttest.NewKey(t)
	dest := destination(t, "oci:"+dir)
	release := postgresql().release(t, store)
	first := mustPublish(t, dest, release, publish.Options{Signer: key})
	// Config and two layers; config and content of attestation and signature;
	// and of these the bundles, with one empty config.
	if first.Blobs != 10 || first.Manifests != 5 || len(first.Moved) != 3 || first.Moved[0] != release.Fixed {
		t.Errorf("first: %+v", first)
	}
	before := snapshot(t, dir)
	second := mustPublish(t, destination(t, "oci:"+dir), release, publish.Options{Signer: key})
	if second.Blobs != 0 || second.Manifests != 0 || len(second.Moved) != 0 || second.Digest != first.Digest {
		t.Errorf("second: %+v", second)
	}
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Error("the second publication changed files")
	}
	repo, _ := dest.Repository("postgresql")
	for _, tag := range release.Tags {
		if !complete(t, repo, tag, key) {
			t.Errorf("%s is missing", tag)
		}
	}
}

func TestLayoutsOfTwoMachinesAreEqual(t *testing.T) {
	key := attesttest.NewKey(t)
	var indexes []string
	for range 2 {
		dir := t.TempDir()
		mustPublish(t, destination(t, "oci:"+dir), postgresql().release(t, t.TempDir()), publish.Options{Signer: key})
		index, err := os.ReadFile(filepath.Join(dir, "postgresql", "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, string(index))
	}
	if indexes[0] != indexes[1] {
		t.Errorf("indexes differ, signatures included:\n%s\n%s", indexes[0], indexes[1])
	}
}

func TestLayoutLinksTheStore(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	release := postgresql().release(t, store)
	mustPublish(t, destination(t, "oci:"+dir), release, publish.Options{})
	for _, blob := range release.Images[0].Blobs {
		path := filepath.Join(dir, "postgresql", "blobs", "sha256", blob.Digest.Encoded())
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o444 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		if blob.File == nil {
			continue
		}
		file, _ := blob.File(t.Context())
		inStore, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if !os.SameFile(info, inStore) {
			t.Errorf("%s is not a link to the store", path)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "postgresql", ".partial-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestLayoutForgetsCrashes ages what writers leave that are killed.
func TestLayoutForgetsCrashes(t *testing.T) {
	dir, store, key := t.TempDir(), t.TempDir(), attesttest.NewKey(t)
	folder := filepath.Join(dir, "postgresql")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-25 * time.Hour)
	for name, old := range map[string]bool{
		".partial-1": true, ".index.json1": true, ".oci-layout1": true, ".partial-2": false, ".index.json2": false,
		"mine": true, ".index.json.swp": true, ".index.json": true, ".partial-": true,
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if old {
			if err := os.Chtimes(path, then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What another writer has just linked to an old file of its store.
	if err := os.Link(filepath.Join(folder, "mine"), filepath.Join(folder, ".partial-3")); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, destination(t, "oci:"+dir), postgresql().release(t, store), publish.Options{Signer: key})
	var left []string
	names, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		left = append(left, n.Name())
	}
	want := []string{".index.json", ".index.json.swp", ".index.json2", ".partial-", ".partial-2", ".partial-3", "blobs", "index.json", "mine", "oci-layout"}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Error(diff)
	}
}

func TestLayoutIsRepaired(t *testing.T) {
	dir, store, key := t.TempDir(), t.TempDir(), attesttest.NewKey(t)
	release := postgresql().release(t, store)
	dest := destination(t, "oci:"+dir)
	layer := release.Images[0].Blobs[2]
	path := filepath.Join(dir, "postgresql", "blobs", "sha256", layer.Digest.Encoded())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// What a crash of another tool leaves under the final name: the size is
	// right, the bytes are not.
	if err := os.WriteFile(path, make([]byte, layer.Size), 0o644); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, dest, release, publish.Options{Signer: key})
	repo, _ := dest.Repository("postgresql")
	if !complete(t, repo, "latest", key) {
		t.Error("no tag")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, dest, release, publish.Options{Signer: key})
	if !complete(t, repo, "latest", key) {
		t.Error("no tag")
	}
}

func TestTwoPushesIntoOneLayout(t *testing.T) {
	dir, store, key := t.TempDir(), t.TempDir(), attesttest.NewKey(t)
	var wg sync.WaitGroup
	for i := range 8 {
		s := postgresql()
		s.version = []string{"17.10", "17.11", "17.12", "17.13"}[i%4]
		s.content = s.version
		release := s.release(t, store)
		release.Tags = release.Tags[:2]
		release.Fixed = ""
		wg.Go(func() {
			if _, err := publish.Publish(t.Context(), publish.NewLayout(dir), release, publish.Options{Signer: key}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	repo, _ := publish.NewLayout(dir).Repository("postgresql")
	for _, tag := range []string{"17.10", "17.11", "17.12", "17.13", "latest"} {
		if !complete(t, repo, tag, key) {
			t.Errorf("%s is missing", tag)
		}
	}
}

func TestFixedTagNeverMoves(t *testing.T) {
	for _, where := range everywhere(t) {
		t.Run(where.name, func(t *testing.T) {
			store, key := t.TempDir(), attesttest.NewKey(t)
			mustPublish(t, where.dest, postgresql().release(t, store), publish.Options{Signer: key})
			other := postgresql()
			other.content = "select 2"
			_, err := publish.Publish(t.Context(), where.dest, other.release(t, store), publish.Options{Signer: key})
			if !errors.Is(err, publish.ErrMoved) {
				t.Fatalf("error %v, want ErrMoved", err)
			}
			repo, _ := where.dest.Repository("postgresql")
			d, err := repo.Resolve(t.Context(), "latest")
			if err != nil {
				t.Fatal(err)
			}
			if want := (publish.Manifest{Raw: postgresql().release(t, store).Images[0].Manifest}).Digest(); d.Digest != want {
				t.Error("latest moved")
			}
		})
	}
}

func TestPlatformsAreKept(t *testing.T) {
	both := []recipes.Platform{recipes.LinuxAMD64, recipes.LinuxARM64}
	for _, where := range everywhere(t) {
		t.Run(where.name, func(t *testing.T) {
			store, key := t.TempDir(), attesttest.NewKey(t)
			repo, _ := where.dest.Repository("postgresql")
			index := mustPublish(t, where.dest, postgresql().release(t, store, both...), publish.Options{Signer: key})

			// One platform, rebuilt with a moved base: new version, other bytes.
			newer := postgresql()
			newer.version, newer.content = "17.13", "select 3"
			one := newer.release(t, store)
			_, err := publish.Publish(t.Context(), where.dest, one, publish.Options{Signer: key})
			if !errors.Is(err, publish.ErrPlatforms) || !strings.Contains(err.Error(), "linux/arm64") {
				t.Fatalf("error %v, want ErrPlatforms", err)
			}
			_, err = publish.Publish(t.Context(), where.dest, one, publish.Options{Signer: key, Merge: true})
			if !errors.Is(err, publish.ErrPlatforms) || !strings.Contains(err.Error(), "17.12") {
				t.Fatalf("error %v, want ErrPlatforms: other versions", err)
			}
			if d, err := repo.Resolve(t.Context(), "latest"); err != nil || d.Digest != index.Digest {
				t.Errorf("latest moved: %v", err)
			}
			// The same version of one platform, merged, is the index that is there.
			again := mustPublish(t, where.dest, postgresql().release(t, store), publish.Options{Signer: key, Merge: true})
			if again.Digest != index.Digest || len(again.Moved) > 0 {
				t.Errorf("merged: %+v, want %s", again, index.Digest)
			}
		})
	}
}

func TestMergePlatforms(t *testing.T) {
	store, key := t.TempDir(), attesttest.NewKey(t)
	whole := mustPublish(t, destination(t, "oci:"+t.TempDir()),
		postgresql().release(t, store, recipes.LinuxAMD64, recipes.LinuxARM64), publish.Options{Signer: key})
	for _, where := range everywhere(t) {
		t.Run(where.name, func(t *testing.T) {
			mustPublish(t, where.dest, postgresql().release(t, store, recipes.LinuxARM64), publish.Options{Signer: key})
			got := mustPublish(t, where.dest, postgresql().release(t, store), publish.Options{Signer: key, Merge: true})
			if got.Digest != whole.Digest {
				t.Errorf("merged one by one: %s, built at once: %s", got.Digest, whole.Digest)
			}
		})
	}
}

func TestUnsignedOnlyIntoLayouts(t *testing.T) {
	release := postgresql().release(t, t.TempDir())
	for _, where := range everywhere(t) {
		_, err := publish.Publish(t.Context(), where.dest, release, publish.Options{})
		if _, layout := where.dest.(*publish.Layout); layout != (err == nil) {
			t.Errorf("%s: %v", where.name, err)
		}
	}
}

// tool skips where a program of another project is not installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and CI must have it", name)
		}
		t.Skipf("%s is not installed: it reads the layout as other tools do", name)
	}
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOtherToolsReadLayouts(t *testing.T) {
	skopeo := tool(t, "skopeo")
	dir, key := t.TempDir(), attesttest.NewKey(t)
	result := mustPublish(t, destination(t, "oci:"+dir),
		postgresql().release(t, t.TempDir()), publish.Options{Signer: key})
	out := run(t, skopeo, "inspect", "oci:"+filepath.Join(dir, "postgresql")+":17.12")
	if !strings.Contains(out, result.Digest.String()) {
		t.Errorf("skopeo sees another image:\n%s", out)
	}
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(t.TempDir(), "one")
	run(t, skopeo, "--policy", policy, "copy", "oci:"+filepath.Join(dir, "postgresql")+":17.12", "oci:"+one+":17.12")
	t.Run("umoci", func(t *testing.T) {
		run(t, tool(t, "umoci"), "unpack", "--rootless", "--image", one+":17.12", filepath.Join(t.TempDir(), "bundle"))
	})
	t.Run("oci-image-tool", func(t *testing.T) {
		run(t, tool(t, "oci-image-tool"), "validate", "--type", "image", "--ref", "name=17.12", one)
	})
}

func TestLayoutNamesTheTagsThatItHas(t *testing.T) {
	dest := destination(t, "oci:"+t.TempDir())
	release := postgresql().release(t, t.TempDir())
	mustPublish(t, dest, release, publish.Options{Signer: attesttest.NewKey(t)})
	repo, _ := dest.Repository("postgresql")
	tags := slices.Sorted(slices.Values(release.Tags))
	want := "no such tag: " + repo.Reference("nosuch") + ": there are " + strings.Join(tags, ", ")
	if _, err := repo.Resolve(t.Context(), "nosuch"); !errors.Is(err, publish.ErrNoTag) || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	none, _ := dest.Repository("minio")
	want = "no such tag: " + none.Reference("nosuch")
	if _, err := none.Resolve(t.Context(), "nosuch"); err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestLayoutInAFolderOfOthers(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{dir, filepath.Join(dir, "images")} {
		err := destination(t, "oci:"+place).Check(t.Context(), []string{"postgresql"})
		if !errors.Is(err, publish.ErrPermission) || !errors.Is(err, fs.ErrPermission) || strings.Count(err.Error(), "permission denied") != 1 {
			t.Errorf("%s: error %v, want ErrPermission, said once", place, err)
		}
	}
}
