package reproduce_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/assemble/assembletest"
	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/existing"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/reproduce"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// testRecipes are a base and a service of files of their own.
func testRecipes() fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"base-debian/recipe.yaml": "name: base-debian\nsummary: A base\ndistros: [debian]\nversion: '1.0'\nlayers:\n" +
			"  - name: system\n    files: files/\n    links: [{path: bin, target: usr/bin}]\n",
		"base-debian/files/usr/bin/tool": "#!/bin/sh\necho base\n",
		"service/recipe.yaml": "name: service\nsummary: A service\nfrom: base\ndistros: [debian]\nversion: '2.5'\nlayers:\n" +
			"  - name: program\n    files: files/\n    links: [{path: usr/bin/alias, target: run}]\n" +
			"config: {entrypoint: [run], env: {MODE: test}}\n",
		"service/files/usr/bin/run":     "#!/bin/sh\necho service\n",
		"service/files/etc/service.cfg": "port = 1\n",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// inputs are what a build needs, with an empty store.
func inputs(t *testing.T, fsys fstest.MapFS) assemble.Options {
	t.Helper()
	set, refs, lock := assembletest.Load(t, fsys)
	s := fetchtest.NewStore(t)
	return assemble.Options{Set: set, Lock: lock, Refs: refs, Platforms: recipes.Platforms()[:1], Store: s, Fetcher: &fetch.Fetcher{Store: s}}
}

// scene is a service that was published.
type scene struct {
	dest   *publish.Layout
	key    *attest.Key
	image  assemble.Image
	inputs assemble.Options // with the store that it was built in
}

func (s scene) ref(tag string) string {
	return "oci:" + filepath.ToSlash(s.dest.Dir()) + "/service:" + tag
}

func stage(t *testing.T, change func(*assemble.Options)) scene {
	t.Helper()
	s := scene{dest: publish.NewLayout(filepath.Join(t.TempDir(), "images")), key: attesttest.NewKey(t)}
	o := inputs(t, testRecipes())
	o.Dest, o.Signer = s.dest, s.key
	if change != nil {
		change(&o)
	}
	r, err := assemble.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.image, s.inputs = r.Images[1], o
	return s
}

// again compares a reference with what the scene's own recipes give.
func (s scene) again(t *testing.T, ref string) (reproduce.Report, error) {
	t.Helper()
	return s.from(t, ref, s.inputs)
}

// from reproduces a reference with the scene's key.
func (s scene) from(t *testing.T, ref string, o assemble.Options) (reproduce.Report, error) {
	t.Helper()
	p, err := existing.Find(t.Context(), ref, trusting(s.key))
	if err != nil {
		t.Fatal(err)
	}
	if p.Distro() != recipes.Debian || p.Ref() != s.image.Ref || !p.Signed() {
		t.Errorf("%s %s", p.Distro(), p.Ref())
	}
	return reproduce.Run(t.Context(), p, o)
}

func TestSameImage(t *testing.T) {
	for name, change := range map[string]func(*assemble.Options){
		"plain":       nil,
		"zstd":        func(o *assemble.Options) { o.Compression = layers.Zstd },
		"source date": func(o *assemble.Options) { o.SourceDate = time.Unix(1700000000, 0) },
		"elsewhere":   func(o *assemble.Options) { o.Builder, o.Tool, o.Jobs = "https://example.org/ci", "9.9.9", 3 },
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, change)
			r, err := s.from(t, s.ref("latest-debian"), inputs(t, testRecipes()))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Images) != 1 || !r.Images[0].Reproduced || r.Digest != s.image.Digest || r.Images[0].Digest != s.image.Digest || r.Signers != "key "+s.key.ID() {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestEveryPlatformOfAnIndex(t *testing.T) {
	s := stage(t, func(o *assemble.Options) { o.Platforms = recipes.Platforms() })
	r, err := s.from(t, s.ref("2.5-debian"), inputs(t, testRecipes()))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Images) != 2 || !r.Images[0].Reproduced || !r.Images[1].Reproduced || r.Index != nil {
		t.Errorf("%+v", r)
	}
	p, err := existing.Find(t.Context(), s.ref("2.5-debian"), existing.Options{Platforms: []recipes.Platform{recipes.LinuxARM64}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Signed() {
		t.Error("a signature counts as checked without a key")
	}
	r, err = reproduce.Run(t.Context(), p, inputs(t, testRecipes()))
	if err != nil || len(r.Images) != 1 || r.Images[0].Platform != recipes.LinuxARM64 || r.Signers != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestFindRefuses(t *testing.T) {
	s := stage(t, nil)
	for name, one := range map[string]struct {
		ref  string
		o    existing.Options
		want error
	}{
		"another key":              {s.ref("2.5-debian"), trusting(attesttest.NewKey(t)), verify.ErrAttestation},
		"no tag":                   {s.ref("9-debian"), existing.Options{}, publish.ErrNoTag},
		"no image":                 {"here", existing.Options{}, publish.ErrUsage},
		"of one platform, another": {s.ref("2.5-debian"), existing.Options{Platforms: []recipes.Platform{recipes.LinuxARM64}}, publish.ErrUsage},
		"of one platform, both":    {s.ref("2.5-debian"), existing.Options{Platforms: recipes.Platforms()}, publish.ErrUsage},
	} {
		if _, err := existing.Find(t.Context(), one.ref, one.o); !errors.Is(err, one.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := existing.Find(t.Context(), s.ref("2.5-debian"), existing.Options{Platforms: []recipes.Platform{recipes.LinuxAMD64}}); err != nil {
		t.Errorf("of one platform, its own: %v", err)
	}
	index := stage(t, func(o *assemble.Options) { o.Platforms = recipes.Platforms() })
	if _, err := existing.Find(t.Context(), index.ref("2.5-debian"), existing.Options{Platforms: []recipes.Platform{"linux/mips"}}); !errors.Is(err, publish.ErrUsage) {
		t.Errorf("a platform that is not there: %v", err)
	}
	unsigned := stage(t, func(o *assemble.Options) { o.Signer = nil })
	if _, err := existing.Find(t.Context(), unsigned.ref("2.5-debian"), existing.Options{}); !errors.Is(err, verify.ErrAttestation) {
		t.Errorf("an image without provenance: %v", err)
	}
}

// What was said of vulnerabilities since is no part of the image, even where
// it is wrong.
func TestStatementsAreNoInput(t *testing.T) {
	s := stage(t, nil)
	p, err := existing.Find(t.Context(), s.ref("latest-debian"), existing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys := testRecipes()
	fsys["service/vex/a.json"] = &fstest.MapFile{Data: []byte(`{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "a", "author": "b",
		"timestamp": "2026-11-20T10:00:00Z", "version": 1, "statements": [
		{"vulnerability": {"name": "CVE-2026-0001"}, "products": [{"@id": "pkg:deb/debian/gone"}], "status": "fixed"}]}`)}
	if r, err := reproduce.Run(t.Context(), p, inputs(t, fsys)); err != nil || !r.Images[0].Reproduced {
		t.Errorf("%v", err)
	}
}

// What is at hand is not what made the image: nothing is built or compared.
func TestOtherInputs(t *testing.T) {
	s := stage(t, nil)
	p, err := existing.Find(t.Context(), s.ref("latest-debian"), existing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	changed := testRecipes()
	changed["base-debian/files/usr/bin/tool"] = &fstest.MapFile{Data: []byte("#!/bin/sh\necho another\n")}
	missing := testRecipes()
	delete(missing, "service/recipe.yaml")
	later := inputs(t, testRecipes())
	later.Lock.Date = later.Lock.Date.Add(time.Hour)
	alpine := inputs(t, testRecipes())
	alpine.Lock.Distro = recipes.Alpine
	empty := inputs(t, testRecipes())
	empty.Lock.Images = nil
	for want, o := range map[string]assemble.Options{
		"recipe of base-debian:":       inputs(t, changed),
		"there is no image":            inputs(t, missing),
		"date of the lock: 2026-11-20": later,
		"no lock of debian is here":    alpine,
		"is not locked":                empty,
	} {
		r, err := reproduce.Run(t.Context(), p, o)
		if err == nil || errors.Is(err, reproduce.ErrDiffers) || !strings.Contains(err.Error(), want) || len(r.Images) > 0 {
			t.Errorf("error %v, want one with %q; %+v", err, want, r)
		}
	}
	var wrong *provenance.InputsError
	if _, err := reproduce.Run(t.Context(), p, inputs(t, changed)); !errors.As(err, &wrong) || len(wrong.Differences) != 1 {
		t.Errorf("%v", err)
	}
}

// trusting are options in which one key may have signed.
func trusting(key *attest.Key) existing.Options {
	signer, err := trust.Key(key.Public())
	if err != nil {
		panic(err)
	}
	return existing.Options{Rules: verify.Always(verify.Rule{Signers: trust.Signers{signer}})}
}
