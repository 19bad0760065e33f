package rebase_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/assemble/assembletest"
	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/rebase"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

const (
	baseTool = "base-debian/files/usr/bin/tool"
	baseFile = "base-debian/recipe.yaml"
	baseText = "name: base-debian\nsummary: A base\ndistros: [debian]\nversion: '1.0'\nlayers:\n" +
		"  - name: system\n    files: files/\n    links: [{path: bin, target: usr/bin}]\n" +
		"    accounts: [{name: app, uid: 10001, home: /home/app, shell: /bin/sh}]\n" +
		"    directories: [{path: srv, mode: '0755'}]\n"
)

// recipeFiles are a base, a service on it and one on that, of files of their
// own; the service makes an account, and so has a state layer.
func recipeFiles(change map[string]string) fstest.MapFS {
	files := map[string]string{
		baseFile: baseText,
		baseTool: "#!/bin/sh\necho base\n",
		"service/recipe.yaml": "name: service\nsummary: A service\nfrom: base\ndistros: [debian]\nversion: '2.5'\nlayers:\n" +
			"  - name: program\n    files: files/\n    accounts: [{name: db, uid: 999, home: /srv, shell: /bin/sh}]\n" +
			"config: {entrypoint: [run], env: {MODE: test}}\n",
		"service/files/usr/bin/run": "#!/bin/sh\necho service\n",
		"service/files/srv/data":    "rows\n",
		"top/recipe.yaml": "name: top\nsummary: On the service\nfrom: service\ndistros: [debian]\nversion: '3.0'\nlayers:\n" +
			"  - name: more\n    files: files/\n",
		"top/files/usr/bin/more": "#!/bin/sh\n",
	}
	maps.Copy(files, change)
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// world is a place where the images were published.
type world struct {
	t    *testing.T
	dest *publish.Layout
	key  *attest.Key
}

func newWorld(t *testing.T) world {
	t.Helper()
	return world{t, publish.NewLayout(filepath.Join(t.TempDir(), "images")), attesttest.NewKey(t)}
}

// options are those of a machine that has nothing yet.
func (w world) options(change map[string]string) assemble.Options {
	w.t.Helper()
	set, refs, lock := assembletest.Load(w.t, recipeFiles(change))
	store := fetchtest.NewStore(w.t)
	return assemble.Options{
		Set: set, Lock: lock, Refs: refs, Platforms: recipes.Platforms()[:1], Store: store, Fetcher: &fetch.Fetcher{Store: store},
		Dest: w.dest, Signer: w.key, Tool: "0.0.0-test",
	}
}

// push publishes the first count images as a machine without a store does.
func (w world) push(change map[string]string, count int, more ...func(*assemble.Options)) map[string]string {
	w.t.Helper()
	o := w.options(change)
	o.Refs = o.Refs[:count]
	for _, f := range more {
		f(&o)
	}
	r, err := assemble.Run(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	digests := map[string]string{}
	for _, i := range r.Images {
		digests[i.Ref.Name] = i.Digest
	}
	return digests
}

func (w world) ref(image string) string { return w.dest.String() + "/" + image + ":latest-debian" }

func (w world) rules() verify.Rules {
	w.t.Helper()
	signer, err := trust.Key(w.key.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	return verify.Always(verify.Rule{Signers: trust.Signers{signer}})
}

func (w world) rebase(image, onto string, change map[string]string, more ...func(*assemble.Options)) (assemble.Image, error) {
	w.t.Helper()
	i, err := rebase.Find(w.t.Context(), w.ref(image), w.ref(onto), rebase.Options{Rules: w.rules()})
	if err != nil {
		return assemble.Image{}, err
	}
	o := w.options(change)
	for _, f := range more {
		f(&o)
	}
	r, err := i.Run(w.t.Context(), o)
	if err != nil {
		return assemble.Image{}, err
	}
	if len(r.Images) != 1 || r.Images[0].Ref.Name != image {
		w.t.Fatalf("%+v", r)
	}
	return r.Images[0], nil
}

// moved is a base with another tool and another user.
func moved() map[string]string {
	return map[string]string{
		baseTool: "#!/bin/sh\necho a newer base\n",
		baseFile: strings.Replace(baseText, "accounts: [", "accounts: [{name: two, uid: 10002, home: /home/two, shell: /bin/sh}, ", 1),
	}
}

// A rebased image is the one that a push of everything makes, byte for byte,
// through the whole chain, and no content layer is written again.
func TestRebasedIsPushed(t *testing.T) {
	for _, platforms := range [][]recipes.Platform{recipes.Platforms()[:1], recipes.Platforms()} {
		several := func(o *assemble.Options) {
			o.Platforms = platforms
			if len(platforms) > 1 {
				o.Compression = layers.Zstd // rebase takes it from the provenance
			}
		}
		elsewhere := newWorld(t)
		want := elsewhere.push(moved(), 3, several)

		w := newWorld(t)
		w.push(nil, 3, several)
		w.push(moved(), 1, several)
		before := w.blobs()
		for _, step := range [][2]string{{"service", "base-debian"}, {"top", "service"}} {
			var store *fetch.Store
			got, err := w.rebase(step[0], step[1], moved(), func(o *assemble.Options) { store = o.Store })
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest != want[step[0]] {
				t.Errorf("%d platforms: rebased %s is %s, pushed %s", len(platforms), step[0], got.Digest, want[step[0]])
			}
			for _, d := range w.content(step[0]) {
				if _, packed := store.Has(d); packed {
					t.Errorf("content layer %s of %s was packed", d, step[0])
				}
			}
			if len(got.Moved) == 0 || got.KeyID == "" {
				t.Errorf("no tag moved, or it is not signed: %+v", got)
			}
			report, err := verify.Verify(t.Context(), w.ref(step[0]), verify.Options{Rules: w.rules(), Layers: true})
			if err != nil || !report.OK {
				t.Errorf("verify: %v", err)
			}
		}
		for path, was := range before {
			if now := w.blobs()[path]; !os.SameFile(was, now) {
				t.Errorf("%s was written again", path)
			}
		}
	}
}

// content are the content layers that an image adds to its parent, on its first
// platform.
func (w world) content(image string) []recipes.Digest {
	w.t.Helper()
	ref, err := publish.ParseReference(w.ref(image), publish.RegistryOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := ref.Manifest(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if m.MediaType == ocispec.MediaTypeImageIndex {
		children, err := verify.Platforms(m)
		if err != nil {
			w.t.Fatal(err)
		}
		if m, err = ref.Repository.Manifest(w.t.Context(), children[0].Digest); err != nil {
			w.t.Fatal(err)
		}
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		w.t.Fatal(err)
	}
	config, err := publish.ReadSmall(w.t.Context(), ref.Repository, manifest.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	var history ocispec.Image
	if err := json.Unmarshal(config, &history); err != nil {
		w.t.Fatal(err)
	}
	var digests []recipes.Digest
	for i, h := range history.History {
		if strings.Contains(h.CreatedBy, "image "+image+",") && !strings.HasSuffix(h.CreatedBy, "state") {
			digests = append(digests, recipes.Digest(manifest.Layers[i].Digest.Encoded()))
		}
	}
	if len(digests) == 0 {
		w.t.Fatal("no content layer")
	}
	return digests
}

// blobs are the files of all layouts.
func (w world) blobs() map[string]os.FileInfo {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dest.Dir(), "*", "blobs", "sha256", "*"))
	if err != nil || len(files) == 0 {
		w.t.Fatal("no blobs", err)
	}
	found := map[string]os.FileInfo{}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			w.t.Fatal(err)
		}
		found[path] = info
	}
	return found
}

func TestNothingToDo(t *testing.T) {
	w := newWorld(t)
	w.push(nil, 2)
	i, err := rebase.Find(t.Context(), w.ref("service"), w.ref("base-debian"), rebase.Options{Rules: w.rules()})
	if err != nil || !i.Done() {
		t.Fatalf("%v", err)
	}
	w.push(moved(), 1)
	if i, err = rebase.Find(t.Context(), w.ref("service"), w.ref("base-debian"), rebase.Options{Rules: w.rules()}); err != nil || i.Done() {
		t.Fatalf("%v", err)
	}
}

func TestRefused(t *testing.T) {
	with := func(change map[string]string, path, text string) map[string]string {
		change = maps.Clone(change)
		change[path] = text
		return change
	}
	var inputs *provenance.InputsError
	var otherBase *assemble.OtherBaseError
	var otherLayer *assemble.OtherLayerError
	for name, one := range map[string]struct {
		pushed      map[string]string // as the base
		here        map[string]string // recipes of the rebase
		image, onto string
		options     func(*assemble.Options)
		is          func(error) bool
		says        string
	}{
		"a grandparent": {moved(), moved(), "top", "base-debian", nil,
			func(err error) bool { return errors.Is(err, rebase.ErrBase) }, "built from service"},
		"a base": {moved(), moved(), "base-debian", "service", nil,
			func(err error) bool { return errors.Is(err, rebase.ErrBase) }, "a base itself"},
		"recipes that make another base": {moved(), with(moved(), baseTool, "#!/bin/sh\n"), "service", "base-debian", nil,
			func(err error) bool { return errors.As(err, &otherBase) }, "push that first"},
		"a recipe that has changed": {moved(), with(moved(), "service/files/srv/data", "other\n"), "service", "base-debian", nil,
			func(err error) bool { return errors.As(err, &inputs) }, "recipe of service"},
		"a folder of another mode": {
			with(moved(), baseFile, strings.Replace(baseText, "0755", "0700", 1)), with(moved(), baseFile, strings.Replace(baseText, "0755", "0700", 1)),
			"service", "base-debian", nil, func(err error) bool { return errors.As(err, &otherLayer) }, "layer program"},
		"a file of the service in the base": {
			with(moved(), "base-debian/files/usr/bin/run", "#!/bin/sh\n"), with(moved(), "base-debian/files/usr/bin/run", "#!/bin/sh\n"),
			"service", "base-debian", nil, func(err error) bool { return strings.Contains(err.Error(), "usr/bin/run") }, ""},
		"another signer": {moved(), moved(), "service", "base-debian", func(o *assemble.Options) { o.Signer = newWorld(t).key },
			func(err error) bool { return errors.Is(err, verify.ErrNoMatch) }, "--onto"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.push(nil, 3)
			var more []func(*assemble.Options)
			if one.options != nil {
				more = append(more, one.options)
			}
			w.push(one.pushed, 1, more...)
			before := slices.Sorted(maps.Keys(w.blobs()))
			_, err := w.rebase(one.image, one.onto, one.here)
			if err == nil || !one.is(err) || !strings.Contains(err.Error(), one.says) {
				t.Errorf("error %v", err)
			}
			if after := slices.Sorted(maps.Keys(w.blobs())); !slices.Equal(before, after) {
				t.Error("something was written")
			}
		})
	}
}

// What is not signed must not come out signed.
func TestUnsignedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.push(nil, 2, func(o *assemble.Options) { o.Signer = nil })
	w.push(moved(), 1)
	if _, err := w.rebase("service", "base-debian", moved()); !errors.Is(err, verify.ErrNotSigned) {
		t.Errorf("error %v", err)
	}
}
