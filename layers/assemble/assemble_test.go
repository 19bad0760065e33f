package assemble

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/assemble/assembletest"
	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// The recipes of these tests hold only files of their own: no network, no
// packages, but the whole way from recipe to published image.
func testRecipes(change map[string]string) fstest.MapFS {
	files := map[string]string{
		"base-debian/recipe.yaml": `
name: base-debian
summary: A base of files
distros: [debian]
version: "1.0"
layers:
  - name: system
    files: files/
    accounts:
      - {name: app, uid: 10001, home: /home/app, shell: /bin/sh, comment: User}
    directories:
      - {path: tmp, mode: "1777"}
      - {path: home/app, owner: "10001:10001", mode: "0750"}
    links:
      - {path: bin, target: usr/bin}
config:
  user: "10001:10001"
  env: {PATH: /usr/bin}
budget: 1MB
`,
		"base-debian/README.md":          "base",
		"base-debian/files/usr/bin/tool": "#!/bin/sh\necho base\n",
		"service/recipe.yaml": `
name: service
summary: A service
from: base
distros: [debian]
version: "2.5"
layers:
  - name: program
    files: files/
config:
  entrypoint: [run]
  env: {MODE: test}
  healthcheck: {test: [run, --check], interval: 10s}
`,
		"service/README.md":         "service",
		"service/files/usr/bin/run": "#!/bin/sh\necho service\n",
	}
	for name, text := range change {
		files[name] = text
	}
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return fsys
}

// options are those of a run into a new layout folder, with a new store.
func options(t testing.TB, change map[string]string, platforms ...recipes.Platform) Options {
	t.Helper()
	set, refs, lock := assembletest.Load(t, testRecipes(change))
	store := fetchtest.NewStore(t)
	if len(platforms) == 0 {
		platforms = []recipes.Platform{recipes.LinuxAMD64}
	}
	return Options{
		Set: set, Lock: lock, Refs: refs, Platforms: platforms, Store: store, Fetcher: &fetch.Fetcher{Store: store},
		Dest: publish.NewLayout(filepath.Join(t.TempDir(), "images")), Signer: attesttest.NewKey(t), Tool: "0.0.0-test",
	}
}

func mustRun(t *testing.T, o Options) Result {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func digests(r Result) []string {
	var out []string
	for _, i := range r.Images {
		out = append(out, i.Ref.String()+" "+i.Digest)
	}
	return out
}

func TestRunPublishesSignedImages(t *testing.T) {
	o := options(t, nil)
	r := mustRun(t, o)
	if len(r.Images) != 2 {
		t.Fatalf("%+v", r)
	}
	service := r.Images[1]
	p := service.Platforms[0]
	if p.Version != "2.5" || p.Own == 0 || p.Inherited == 0 || p.Size == 0 || p.Uncompressed == 0 || p.Cached || service.KeyID == "" {
		t.Errorf("%+v", service)
	}
	dir := o.Dest.(*publish.Layout).Dir()
	manifest := readManifest(t, filepath.Join(dir, "service"), service.Digest)
	if got := manifest.Annotations[ocispec.AnnotationBaseImageDigest]; got != r.Images[0].Digest {
		t.Errorf("base digest %s, want %s", got, r.Images[0].Digest)
	}
	paths := layerPaths(t, filepath.Join(dir, "service"), manifest)
	for _, want := range []string{"usr/bin/tool", "usr/bin/run", "home/app/", "tmp/", "bin", "etc/passwd"} {
		if !paths[want] {
			t.Errorf("%s is in no layer: %v", want, paths)
		}
	}
	tags := tagsOf(t, filepath.Join(dir, "service"))
	for _, want := range []string{"2.5-debian", "latest-debian", attest.SignatureTag(recipes.Digest(service.Digest[7:])), attest.AttestationTag(recipes.Digest(service.Digest[7:]))} {
		if !tags[want] {
			t.Errorf("no tag %s: %v", want, tags)
		}
	}
}

func TestSecondRunWritesNothing(t *testing.T) {
	o := options(t, nil)
	first := mustRun(t, o)
	before := snapshot(t, o)
	second := mustRun(t, o)
	if diff := cmp.Diff(digests(first), digests(second)); diff != "" {
		t.Error(diff)
	}
	for _, i := range second.Images {
		if !i.Platforms[0].Cached || i.Written != 0 || len(i.Moved) != 0 {
			t.Errorf("%+v", i)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, o)); diff != "" {
		t.Errorf("files changed: %s", diff)
	}
}

// snapshot lists every file of layout and store with its time.
func snapshot(t *testing.T, o Options) map[string]time.Time {
	t.Helper()
	times := make(map[string]time.Time)
	for _, dir := range []string{o.Dest.(*publish.Layout).Dir(), filepath.Join(o.Store.Dir(), "sha256"), filepath.Join(o.Store.Dir(), "records")} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			times[path] = info.ModTime()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return times
}

func TestSameDigestsElsewhere(t *testing.T) {
	first := mustRun(t, options(t, nil))
	o := options(t, nil)
	o.Jobs = 7
	o.Refs = o.Refs[:1] // the base first, by itself
	mustRun(t, o)
	o.Refs = options(t, nil).Refs
	if diff := cmp.Diff(digests(first), digests(mustRun(t, o))); diff != "" {
		t.Error(diff)
	}
}

func TestChangedChildKeepsItsBase(t *testing.T) {
	o := options(t, nil)
	first := mustRun(t, o)
	set, err := recipes.Load(testRecipes(map[string]string{"service/files/usr/bin/run": "#!/bin/sh\necho other\n"}))
	if err != nil {
		t.Fatal(err)
	}
	o.Set = set
	second := mustRun(t, o)
	if first.Images[0].Digest != second.Images[0].Digest || !second.Images[0].Platforms[0].Cached {
		t.Error("the base was made anew")
	}
	if first.Images[1].Digest == second.Images[1].Digest || second.Images[1].Platforms[0].Cached {
		t.Error("the service was not made anew")
	}
	if first.Images[1].Tags[0] == second.Images[1].Tags[0] {
		t.Error("another image under the tag that never moves")
	}
}

func TestMovedBaseKeepsContentLayers(t *testing.T) {
	o := options(t, nil)
	mustRun(t, o)
	dir := filepath.Join(o.Dest.(*publish.Layout).Dir(), "service")
	before := readManifest(t, dir, "")
	set, err := recipes.Load(testRecipes(map[string]string{"base-debian/files/usr/bin/tool": "#!/bin/sh\necho moved\n"}))
	if err != nil {
		t.Fatal(err)
	}
	o.Set = set
	mustRun(t, o)
	after := readManifest(t, dir, "")
	if before.Layers[0].Digest == after.Layers[0].Digest {
		t.Error("the base did not move")
	}
	last := len(before.Layers) - 1
	if before.Layers[last].Digest != after.Layers[last].Digest {
		t.Error("the service's layer moved with its base")
	}
}

func TestSeveralPlatforms(t *testing.T) {
	o := options(t, nil, recipes.LinuxAMD64, recipes.LinuxARM64)
	r := mustRun(t, o)
	dir := filepath.Join(o.Dest.(*publish.Layout).Dir(), "service")
	var index ocispec.Index
	readBlob(t, dir, r.Images[1].Digest, &index)
	if len(index.Manifests) != 2 || index.MediaType != ocispec.MediaTypeImageIndex {
		t.Fatalf("%+v", index)
	}
	for i, d := range index.Manifests {
		if d.Digest.Encoded() != string(r.Images[1].Platforms[i].Digest) {
			t.Errorf("platform %d is %s", i, d.Digest)
		}
	}
}

func TestBudget(t *testing.T) {
	o := options(t, map[string]string{
		"base-debian/recipe.yaml":   strings.Replace(string(testRecipes(nil)["base-debian/recipe.yaml"].Data), "1MB", "1kB", 1),
		"base-debian/files/big.txt": bigText(),
	})
	_, err := Run(t.Context(), o)
	var budget *BudgetError
	if !errors.As(err, &budget) || budget.Image.Name != "base-debian" || budget.Budget != 1000 {
		t.Fatalf("%v", err)
	}
	nothingPublished(t, o)
}

func nothingPublished(t *testing.T, o Options) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(o.Dest.(*publish.Layout).Dir(), "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("published: %v %v", left, err)
	}
}

// bigText is more than a kilobyte however well it is compressed.
func bigText() string {
	var b strings.Builder
	for range 100 {
		b.WriteString(rand.Text())
	}
	return b.String()
}

func TestOtherEncoderIsRefused(t *testing.T) {
	o := options(t, nil)
	o.Lock.EncoderGolden = recipes.Digest(strings.Repeat("0", 64))
	if _, err := Run(t.Context(), o); !errors.Is(err, ErrEncoder) {
		t.Errorf("%v", err)
	}
	o = options(t, nil)
	o.Lock.LayerFormat = layers.Format + 1
	if _, err := Run(t.Context(), o); !errors.Is(err, ErrEncoder) {
		t.Errorf("layers of another format: %v", err)
	}
}

func TestCancelledRunPublishesNothing(t *testing.T) {
	o := options(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	nothingPublished(t, o)
}

func TestSourceDateIsTheOneDate(t *testing.T) {
	o := options(t, nil)
	o.SourceDate = time.Unix(1700000000, 0).UTC()
	r := mustRun(t, o)
	m := readManifest(t, filepath.Join(o.Dest.(*publish.Layout).Dir(), "service"), r.Images[1].Digest)
	if got := m.Annotations[ocispec.AnnotationCreated]; got != "2023-11-14T22:13:20Z" {
		t.Errorf("created %s", got)
	}
	plain := mustRun(t, options(t, nil))
	if plain.Images[0].Tags[0] == r.Images[0].Tags[0] {
		t.Error("one tag for two dates")
	}
}

// A refresh of one image moves the date of the lock, and neither digest nor
// tag of what does not stand on it.
func TestDateOfTheImagesThatWereKept(t *testing.T) {
	before := options(t, nil)
	old := mustRun(t, before)
	refreshed := func(kept string) Result {
		o := options(t, nil)
		o.Lock.Date = before.Lock.Date.Add(48 * time.Hour)
		for i := range o.Lock.Images {
			if o.Lock.Images[i].Ref.Name == kept {
				o.Lock.Images[i].Date = before.Lock.Date
			}
		}
		r := mustRun(t, o)
		m := readManifest(t, filepath.Join(o.Dest.(*publish.Layout).Dir(), "service"), r.Images[1].Digest)
		if got := m.Annotations[ocispec.AnnotationCreated]; got != "2026-11-22T00:00:00Z" {
			t.Errorf("%s kept: the service is of %s", kept, got)
		}
		return r
	}
	r := refreshed("base-debian")
	if r.Images[0].Digest != old.Images[0].Digest || !slices.Equal(r.Images[0].Tags, old.Images[0].Tags) {
		t.Errorf("the base moved with the service: %s %v", r.Images[0].Digest, r.Images[0].Tags)
	}
	if r.Images[1].Digest == old.Images[1].Digest || slices.Equal(r.Images[1].Tags, old.Images[1].Tags) {
		t.Error("the service did not move")
	}
	if r = refreshed("service"); r.Images[0].Digest == old.Images[0].Digest || r.Images[1].Digest == old.Images[1].Digest {
		t.Error("the service did not move with its base")
	}
}

// TestTransfers wait for a network or a disk: two processors do not bound them,
// and --jobs does.
func TestTransfers(t *testing.T) {
	for jobs, want := range map[int]int{0: max(runtime.GOMAXPROCS(0), publish.DefaultJobs), 2: 2, 9: 9} {
		o := options(t, nil)
		o.Jobs = jobs
		r, err := newRun(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.publishOptions().Jobs; got != want {
			t.Errorf("%d jobs: %d blobs in flight, want %d", jobs, got, want)
		}
	}
}
