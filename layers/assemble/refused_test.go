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
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/recipes"
)

// refusal is one way in which the folder of a build is not what it should be.
type refusal struct {
	name  string
	spoil func(t *testing.T, dir string)
	class error
	says  string
}

// spoiledContent changes blobs and tags.
func spoiledContent() []refusal {
	return []refusal{
		{"a changed layer", func(t *testing.T, dir string) {
			overwrite(t, layerFile(t, dir, "service", 1), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, publish.ErrCorrupt, "sha256:"},
		{"a layer cut short", func(t *testing.T, dir string) {
			overwrite(t, layerFile(t, dir, "service", 0), func(b []byte) []byte { return b[:len(b)-1] })
		}, publish.ErrCorrupt, "sha256:"},
		{"a layer that is missing", func(t *testing.T, dir string) {
			if err := os.Remove(layerFile(t, dir, "service", 1)); err != nil {
				t.Fatal(err)
			}
		}, publish.ErrNotFound, "sha256:"},
		{"a layer that is a link", func(t *testing.T, dir string) {
			path := layerFile(t, dir, "service", 1)
			if err := errors.Join(os.Rename(path, path+".moved"), os.Symlink(path+".moved", path)); err != nil {
				t.Fatal(err)
			}
		}, publish.ErrCorrupt, "no regular file"},
		{"an image that is not there", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "service")); err != nil {
				t.Fatal(err)
			}
		}, publish.ErrNoTag, "what recipe, lock and options make"},
		{"tags that name different images", func(t *testing.T, dir string) {
			repo, m := handedRepo(t, dir, "service"), manifestOf(t, dir, "service")
			m.Annotations["extra"] = "yes"
			if err := repo.Tag(t.Context(), putManifest(t, repo, m), []string{"latest-debian"}); err != nil {
				t.Fatal(err)
			}
		}, image.ErrOther, "latest-debian names sha256:"},
	}
}

// spoiledImages are images that recipe and lock do not make.
func spoiledImages(t *testing.T) []refusal {
	config := func(edit func(config map[string]any)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			forge(t, dir, "service", func(_ publish.Repository, _ *ocispec.Manifest, c map[string]any) { edit(c) })
		}
	}
	manifest := func(edit func(repo publish.Repository, m *ocispec.Manifest, config map[string]any)) func(*testing.T, string) {
		return func(t *testing.T, dir string) { forge(t, dir, "service", edit) }
	}
	return []refusal{
		{"an annotation", manifest(func(_ publish.Repository, m *ocispec.Manifest, _ map[string]any) {
			m.Annotations[ocispec.AnnotationVersion] = "2.6"
		}), image.ErrOther, "manifest: annotations.org.opencontainers.image.version is \"2.6\", want \"2.5\""},
		{"another base digest", manifest(func(_ publish.Repository, m *ocispec.Manifest, _ map[string]any) {
			m.Annotations[ocispec.AnnotationBaseImageDigest] = digest.FromString("x").String()
		}), image.ErrOther, "base.digest"},
		{"another user", config(func(c map[string]any) {
			c["config"].(map[string]any)["User"] = "0:0"
		}), image.ErrOther, "configuration: config.User is \"0:0\", want \"10001:10001\""},
		{"another environment", config(func(c map[string]any) {
			c["config"].(map[string]any)["Env"] = []string{"PATH=/evil", "MODE=test"}
		}), image.ErrOther, "config.Env[0]"},
		{"a layer more", manifest(func(repo publish.Repository, m *ocispec.Manifest, c map[string]any) {
			more := putBlob(t, repo, m.Layers[0].MediaType, []byte("another"))
			m.Layers = append(m.Layers, more)
			rootfs := c["rootfs"].(map[string]any)
			rootfs["diff_ids"] = append(rootfs["diff_ids"].([]any), more.Digest)
			c["history"] = append(c["history"].([]any), c["history"].([]any)[0])
		}), image.ErrOther, "no layer of its recipe"},
		{"a layer without history", manifest(func(repo publish.Repository, m *ocispec.Manifest, c map[string]any) {
			m.Layers = append(m.Layers, putBlob(t, repo, m.Layers[0].MediaType, []byte("another")))
		}), image.ErrOther, "diffIDs"},
		{"another layer of the base", manifest(func(repo publish.Repository, m *ocispec.Manifest, c map[string]any) {
			m.Layers[0] = putBlob(t, repo, m.Layers[0].MediaType, []byte("another"))
		}), image.ErrOther, "layer 1 is sha256:"},
		{"addresses of layers", manifest(func(repo publish.Repository, m *ocispec.Manifest, c map[string]any) {
			last := len(m.Layers) - 1
			m.Layers[last].URLs = []string{"https://example.com/layer"}
		}), image.ErrOther, "manifest: layers["},
		{"a type of layer", manifest(func(repo publish.Repository, m *ocispec.Manifest, c map[string]any) {
			m.Layers[len(m.Layers)-1].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar"
		}), image.ErrOther, "media type"},
	}
}

// spoiledStatements say something else of the image.
func spoiledStatements() []refusal {
	replace := func(kind, old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			restate(t, dir, "service", func(s map[string][]byte) {
				if !bytes.Contains(s[kind], []byte(old)) {
					t.Fatalf("%s does not say %s", kind, old)
				}
				s[kind] = bytes.ReplaceAll(s[kind], []byte(old), []byte(new))
			})
		}
	}
	return []refusal{
		{"no statements", func(t *testing.T, dir string) {
			d := layoutIndex(t, filepath.Join(dir, "service")).Manifests[0].Digest
			repo := handedRepo(t, dir, "service")
			empty := putManifest(t, repo, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{}})
			if err := repo.Tag(t.Context(), empty, []string{attest.UnsignedTag(recipes.Digest(d.Encoded()))}); err != nil {
				t.Fatal(err)
			}
		}, ErrStatement, "refer to another image"},
		{"an image that nothing is said of", func(t *testing.T, dir string) {
			restate(t, dir, "service", func(s map[string][]byte) { delete(s, attest.PredicateSPDX) })
		}, ErrStatement, attest.PredicateSPDX + ": there is none"},
		{"a statement of an unknown kind", func(t *testing.T, dir string) {
			restate(t, dir, "service", func(s map[string][]byte) {
				s["https://example.com/approved"] = bytes.ReplaceAll(s[attest.PredicateSPDX], []byte(attest.PredicateSPDX), []byte("https://example.com/approved"))
			})
		}, ErrStatement, "does not make"},
		{"a statement annotated as another", func(t *testing.T, dir string) {
			restate(t, dir, "service", func(s map[string][]byte) {
				s[attest.PredicateSPDX] = bytes.Replace(s[attest.PredicateSPDX], []byte(`"predicateType":"`+attest.PredicateSPDX), []byte(`"predicateType":"`+attest.PredicateSLSA), 1)
			})
		}, ErrStatement, "annotated as"},
		{"the base's statements", func(t *testing.T, dir string) {
			var base []byte
			restate(t, dir, "base-debian", func(s map[string][]byte) { base = s[attest.PredicateSPDX] })
			restate(t, dir, "service", func(s map[string][]byte) { s[attest.PredicateSPDX] = base })
		}, attest.ErrSubject, "speaks of sha256:"},
		{"an SBOM of the base, said of the image", func(t *testing.T, dir string) {
			var base []byte
			restate(t, dir, "base-debian", func(s map[string][]byte) { base = s[attest.PredicateSPDX] })
			restate(t, dir, "service", func(s map[string][]byte) {
				var mine, other attest.Statement
				if err := errors.Join(json.Unmarshal(s[attest.PredicateSPDX], &mine), json.Unmarshal(base, &other)); err != nil {
					t.Fatal(err)
				}
				mine.Predicate = other.Predicate
				changed, err := json.Marshal(mine)
				if err != nil {
					t.Fatal(err)
				}
				s[attest.PredicateSPDX] = changed
			})
		}, sbom.ErrOther, "describes another image"},
		{"provenance by another builder", replace(attest.PredicateSLSA, provenance.Local, "https://github.com/org/repo/.github/workflows/publish.yaml@refs/heads/main"),
			ErrStatement, "the builder is https://github.com/org/repo"},
		{"provenance of another lock", replace(attest.PredicateSLSA, `"lockDate":"2026-11-20`, `"lockDate":"2026-11-21`),
			ErrStatement, "internalParameters.lockDate is"},
		{"provenance of another build type", replace(attest.PredicateSLSA, "buildtypes/image/v1", "buildtypes/image/v2"),
			provenance.ErrBuildType, "v2"},
		{"no provenance", func(t *testing.T, dir string) {
			restate(t, dir, "service", func(s map[string][]byte) { delete(s, attest.PredicateSLSA) })
		}, ErrStatement, attest.PredicateSLSA + ": there is none"},
		{"an SBOM that is none", replace(attest.PredicateSPDX, `"spdxVersion":"SPDX-2.3"`, `"spdxVersion":"SPDX-9"`), ErrStatement, "SPDX"},
	}
}

func TestHandedOverIsRefused(t *testing.T) {
	built, sign := builder(t)
	for _, test := range slices.Concat(spoiledContent(), spoiledImages(t), spoiledStatements()) {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "images")
			if err := os.CopyFS(dir, os.DirFS(built)); err != nil {
				t.Fatal(err)
			}
			sign := sign
			sign.From, sign.Dest = publish.NewLayout(dir), publish.NewLayout(filepath.Join(t.TempDir(), "published"))
			test.spoil(t, dir)
			_, err := Run(t.Context(), sign)
			if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "service") {
				t.Errorf("error %v\nwant %v that says %q", err, test.class, test.says)
			}
			if left, _ := filepath.Glob(filepath.Join(sign.Dest.(*publish.Layout).Dir(), "service", "*")); len(left) > 0 {
				t.Errorf("published: %v", left)
			}
		})
	}
}

// A recipe or an option that is not the build's gives other tags.
func TestHandedOverByOtherInputsIsRefused(t *testing.T) {
	_, sign := builder(t)
	other := sign
	other.SourceDate = time.Unix(1700000000, 0).UTC()
	if _, err := Run(t.Context(), other); !errors.Is(err, publish.ErrNoTag) || !strings.Contains(err.Error(), "built from the same ones") {
		t.Errorf("another date: %v", err)
	}
	other = sign
	set, err := recipes.Load(testRecipes(map[string]string{"service/files/usr/bin/run": "#!/bin/sh\necho other\n"}))
	if err != nil {
		t.Fatal(err)
	}
	other.Set = set
	if _, err := Run(t.Context(), other); !errors.Is(err, publish.ErrNoTag) {
		t.Errorf("another recipe: %v", err)
	}
	other = sign
	other.Platforms = []recipes.Platform{recipes.LinuxAMD64, recipes.LinuxARM64}
	if _, err := Run(t.Context(), other); !errors.Is(err, publish.ErrNoTag) {
		t.Errorf("other platforms: %v", err)
	}
}

func TestHandedOverIndexIsRefused(t *testing.T) {
	both := []recipes.Platform{recipes.LinuxAMD64, recipes.LinuxARM64}
	changes := map[string]func(*ocispec.Index){
		"an annotation":   func(i *ocispec.Index) { i.Annotations["extra"] = "yes" },
		"a platform more": func(i *ocispec.Index) { i.Manifests = append(i.Manifests, i.Manifests[0]) },
		"a platform less": func(i *ocispec.Index) { i.Manifests = i.Manifests[:1] },
		"platforms swapped": func(i *ocispec.Index) {
			i.Manifests[0].Platform, i.Manifests[1].Platform = i.Manifests[1].Platform, i.Manifests[0].Platform
		},
		"another descriptor": func(i *ocispec.Index) { i.Manifests[0].Annotations = map[string]string{"a": "b"} },
	}
	built, sign := builder(t, both...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "images")
			if err := os.CopyFS(dir, os.DirFS(built)); err != nil {
				t.Fatal(err)
			}
			sign := sign
			sign.From, sign.Dest = publish.NewLayout(dir), publish.NewLayout(filepath.Join(t.TempDir(), "published"))
			repo := handedRepo(t, dir, "service")
			d, err := repo.Resolve(t.Context(), "latest-debian")
			if err != nil {
				t.Fatal(err)
			}
			var index ocispec.Index
			readBlob(t, filepath.Join(dir, "service"), d.Digest.String(), &index)
			change(&index)
			retag(t, dir, "service", putManifest(t, repo, index))
			if _, err := Run(t.Context(), sign); !errors.Is(err, image.ErrOther) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestHandedOverWithoutKeyGoesOnlyIntoFolders(t *testing.T) {
	_, sign := builder(t)
	sign.Signer = nil
	mustRun(t, sign) // a folder takes it, and can hand it on
	next := sign
	next.From, next.Dest = sign.Dest, publish.NewLayout(filepath.Join(t.TempDir(), "next"))
	mustRun(t, next)
	registry, err := publish.ParseDestination("registry.example/org", publish.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRun(sign)
	if err != nil {
		t.Fatal(err)
	}
	r.Dest = registry
	if _, err := r.all(t.Context()); !errors.Is(err, attest.ErrKeyRequired) {
		t.Errorf("%v", err)
	}
}

// What is known of vulnerabilities must be what the recipes of the run that
// signs say.
func TestHandedOverVEXIsRefused(t *testing.T) {
	o := options(t, map[string]string{"service/vex/2026.json": statement})
	sign := o
	sign.From, sign.Dest = o.Dest, publish.NewLayout(filepath.Join(t.TempDir(), "published"))
	o.Signer = nil
	mustRun(t, o)
	mustRun(t, sign)
	dir := o.Dest.(*publish.Layout).Dir()
	restate(t, dir, "service", func(s map[string][]byte) {
		s[attest.PredicateVEX] = bytes.Replace(s[attest.PredicateVEX], []byte("under_investigation"), []byte("not_affected"), 1)
	})
	if _, err := Run(t.Context(), sign); !errors.Is(err, ErrStatement) || !strings.Contains(err.Error(), `statements[0].status is "not_affected"`) {
		t.Errorf("%v", err)
	}
}
