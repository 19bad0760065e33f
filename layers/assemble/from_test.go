package assemble

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// builder builds into a folder without a key, and returns the options of the
// run that signs: neither store nor fetcher, another destination.
func builder(t *testing.T, platforms ...recipes.Platform) (dir string, sign Options) {
	t.Helper()
	o := options(t, nil, platforms...)
	sign = o
	sign.From, sign.Store, sign.Fetcher = o.Dest, nil, nil
	sign.Dest = publish.NewLayout(filepath.Join(t.TempDir(), "published"))
	o.Signer = nil
	mustRun(t, o)
	return o.Dest.(*publish.Layout).Dir(), sign
}

// published is every file of a destination folder, but for locks.
func published(t *testing.T, dest publish.Destination) map[string]digest.Digest {
	t.Helper()
	files := map[string]digest.Digest{}
	dir := dest.(*publish.Layout).Dir()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "*", "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(found, blobs...) {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(dir, path)
		files[name] = digest.FromBytes(data)
	}
	return files
}

func TestHandedOverImagesAreThoseOfOnePush(t *testing.T) {
	for _, platforms := range [][]recipes.Platform{{recipes.LinuxAMD64}, {recipes.LinuxAMD64, recipes.LinuxARM64}} {
		_, sign := builder(t, platforms...)
		r := mustRun(t, sign)
		whole := options(t, nil, platforms...)
		whole.Signer = sign.Signer
		want := mustRun(t, whole)
		if diff := cmp.Diff(digests(want), digests(r)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(published(t, whole.Dest), published(t, sign.Dest)); diff != "" {
			t.Errorf("%s: what is published differs from one push, signatures included: %s", platforms, diff)
		}
		p := r.Images[1].Platforms[0]
		if r.Images[1].KeyID == "" || p.Own == 0 || p.Inherited == 0 || p.Size == 0 || p.Version != "2.5" {
			t.Errorf("%+v", r.Images[1])
		}
		again := mustRun(t, sign)
		for _, i := range again.Images {
			if i.Written != 0 || len(i.Moved) != 0 {
				t.Errorf("the second time wrote: %+v", i)
			}
		}
	}
}

func TestHandedOverInPlace(t *testing.T) {
	dir, sign := builder(t)
	sign.Dest = publish.NewLayout(dir)
	mustRun(t, sign)
	tags := tagsOf(t, filepath.Join(dir, "service"))
	signed := 0
	for tag := range tags {
		if strings.HasSuffix(tag, ".sig") || strings.HasSuffix(tag, ".att") {
			signed++
		}
	}
	if signed != 2 {
		t.Errorf("%v", tags)
	}
}

func TestPlatformsAt(t *testing.T) {
	both := []recipes.Platform{recipes.LinuxAMD64, recipes.LinuxARM64}
	for _, platforms := range [][]recipes.Platform{both[:1], both[1:], both} {
		_, sign := builder(t, platforms...)
		if got, err := PlatformsAt(t.Context(), sign); err != nil || !slices.Equal(got, platforms) {
			t.Errorf("%v %v, want %v", got, err, platforms)
		}
	}
	_, sign := builder(t)
	sign.From = publish.NewLayout(t.TempDir())
	if _, err := PlatformsAt(t.Context(), sign); !errors.Is(err, publish.ErrNoTag) {
		t.Errorf("%v", err)
	}
}

// What nobody asked for is neither looked at nor published.
func TestMoreInTheFolderIsIgnored(t *testing.T) {
	dir, sign := builder(t)
	whole := mustRun(t, sign)
	repo := handedRepo(t, dir, "service")
	m := manifestOf(t, dir, "service")
	m.Annotations["extra"] = "yes"
	extra := putManifest(t, repo, m)
	if err := repo.Tag(t.Context(), extra, []string{"v666", "debian"}); err != nil {
		t.Fatal(err)
	}
	stranger := handedRepo(t, dir, "stranger")
	if err := stranger.PutManifest(t.Context(), extra); err != nil {
		t.Fatal(err)
	}
	if err := stranger.Tag(t.Context(), extra, []string{"latest-debian"}); err != nil {
		t.Fatal(err)
	}
	sign.Dest = publish.NewLayout(filepath.Join(t.TempDir(), "published"))
	if diff := cmp.Diff(digests(whole), digests(mustRun(t, sign))); diff != "" {
		t.Error(diff)
	}
	published := sign.Dest.(*publish.Layout).Dir()
	if tagsOf(t, filepath.Join(published, "service"))["v666"] {
		t.Error("a tag that is not the recipe's was published")
	}
	if _, err := os.Stat(filepath.Join(published, "stranger")); err == nil {
		t.Error("an image without a recipe was published")
	}
}

func handedRepo(t *testing.T, dir, name string) publish.Repository {
	t.Helper()
	repo, err := publish.NewLayout(dir).Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func manifestOf(t *testing.T, dir, name string) ocispec.Manifest {
	t.Helper()
	return readManifest(t, filepath.Join(dir, name), "")
}

func putManifest(t *testing.T, repo publish.Repository, m any) publish.Manifest {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	made := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: raw}
	if _, ok := m.(ocispec.Index); ok {
		made.MediaType = ocispec.MediaTypeImageIndex
	}
	if err := repo.PutManifest(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	return made
}

// retag points all tags of an image at another manifest.
func retag(t *testing.T, dir, name string, m publish.Manifest) {
	t.Helper()
	var tags []string
	for tag := range tagsOf(t, filepath.Join(dir, name)) {
		if !strings.HasPrefix(tag, "sha256-") {
			tags = append(tags, tag)
		}
	}
	if err := handedRepo(t, dir, name).Tag(t.Context(), m, tags); err != nil {
		t.Fatal(err)
	}
}

func putBlob(t *testing.T, repo publish.Repository, mediaType string, content []byte) ocispec.Descriptor {
	t.Helper()
	blob := publish.BytesBlob(mediaType, content)
	if err := repo.PutBlob(t.Context(), blob); err != nil {
		t.Fatal(err)
	}
	return blob.Descriptor
}

// forge changes configuration and manifest of an image and moves its tags.
func forge(t *testing.T, dir, name string, edit func(repo publish.Repository, m *ocispec.Manifest, config map[string]any)) {
	t.Helper()
	repo, m := handedRepo(t, dir, name), manifestOf(t, dir, name)
	var config, before map[string]any
	readBlob(t, filepath.Join(dir, name), m.Config.Digest.String(), &config)
	readBlob(t, filepath.Join(dir, name), m.Config.Digest.String(), &before)
	edit(repo, &m, config)
	if !cmp.Equal(config, before) {
		raw, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		m.Config = putBlob(t, repo, m.Config.MediaType, raw)
	}
	retag(t, dir, name, putManifest(t, repo, m))
}

// restate replaces the unsigned statements of an image.
func restate(t *testing.T, dir, name string, edit func(statements map[string][]byte)) {
	t.Helper()
	repo := handedRepo(t, dir, name)
	d, err := repo.Resolve(t.Context(), "latest-debian")
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Manifest(t.Context(), d.Digest)
	if err != nil {
		t.Fatal(err)
	}
	said, err := publish.Unsigned(t.Context(), repo, m)
	if err != nil {
		t.Fatal(err)
	}
	statements := map[string][]byte{}
	for kind, item := range said {
		if statements[kind], err = publish.ReadSmall(t.Context(), repo, item.Descriptor); err != nil {
			t.Fatal(err)
		}
	}
	edit(statements)
	var items []attest.Item
	for kind, statement := range statements {
		putBlob(t, repo, attest.PayloadType, statement)
		items = append(items, attest.UnsignedItem(kind, statement))
	}
	made, err := attest.Unsigned(m.Descriptor(), items)
	if err != nil {
		t.Fatal(err)
	}
	manifest := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: made.Raw}
	if err := repo.PutManifest(t.Context(), manifest); err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), manifest, []string{attest.UnsignedTag(recipes.Digest(d.Digest.Encoded()))}); err != nil {
		t.Fatal(err)
	}
}

func layerFile(t *testing.T, dir, name string, at int) string {
	t.Helper()
	m := manifestOf(t, dir, name)
	return filepath.Join(dir, name, "blobs", "sha256", m.Layers[at].Digest.Encoded())
}

func overwrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // it is a link to the store's file
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(bytes.Clone(data)), 0o644); err != nil {
		t.Fatal(err)
	}
}
