package keyless_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/keyless"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// release is a small image that says of itself what it is told.
func release(t *testing.T, says string) publish.Release {
	t.Helper()
	layer := publish.BytesBlob(ocispec.MediaTypeImageLayer, make([]byte, 1024))
	config := publish.BytesBlob(ocispec.MediaTypeImageConfig, must(json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	})))
	manifest := must(json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config.Descriptor, Layers: []ocispec.Descriptor{layer.Descriptor},
	}))
	return publish.Release{Name: "minio", Tags: []string{"1"}, Images: []publish.Image{{
		Platform: recipes.LinuxAMD64, Manifest: manifest, Blobs: []publish.Blob{config, layer},
		Attestations: []publish.Attestation{{
			PredicateType: attest.PredicateSPDX,
			Predicate:     func(context.Context) ([]byte, error) { return []byte(`{"says":"` + says + `"}`), nil },
		}},
	}}}
}

// places are fresh destinations of each kind.
func places(t *testing.T) map[string]string {
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	plain := httptest.NewServer(registry.New(quiet))
	referrers := httptest.NewServer(registry.New(quiet, registry.WithReferrersSupport(true)))
	t.Cleanup(plain.Close)
	t.Cleanup(referrers.Close)
	return map[string]string{
		"layout":         "oci:" + t.TempDir(),
		"fallback tag":   strings.TrimPrefix(plain.URL, "http://") + "/shudl",
		"referrers' API": strings.TrimPrefix(referrers.URL, "http://") + "/shudl",
	}
}

func push(t *testing.T, to, says string, s *keyless.Signer, format attest.Format) publish.Result {
	t.Helper()
	dest := must(publish.ParseDestination(to, publish.RegistryOptions{}))
	result, err := publish.Publish(t.Context(), dest, release(t, says), publish.Options{Signer: s, Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// counts are the bundles and the classic items of the image.
func counts(t *testing.T, to string) (bundles, attestations, signatures int) {
	t.Helper()
	repo := must(must(publish.ParseDestination(to, publish.RegistryOptions{})).Repository("minio"))
	d := must(repo.Resolve(t.Context(), "1"))
	hex := must(publish.Hex(d.Digest))
	items := func(tag string) int {
		d, err := repo.Resolve(t.Context(), tag)
		if err != nil {
			return 0
		}
		return len(must(attest.Read(must(repo.Manifest(t.Context(), d.Digest)).Raw)))
	}
	return len(must(publish.Bundles(t.Context(), repo, d.Digest))), items(attest.AttestationTag(hex)), items(attest.SignatureTag(hex))
}

// A second push by the same identity, with another certificate, adds nothing;
// another identity adds its own; another statement replaces the classic one.
func TestPublishTwice(t *testing.T) {
	w := newWorld(t)
	for _, format := range []attest.Format{attest.Dual, attest.Classic, attest.Bundles} {
		for name, to := range places(t) {
			t.Run(name+" "+string(format), func(t *testing.T) {
				expect := func(step string, per int) {
					t.Helper()
					want := [3]int{}
					if format.Bundles() {
						want[0] = 2 * per
					}
					if format.Classic() {
						want[1], want[2] = per, per
					}
					b, a, s := counts(t, to)
					if got := [3]int{b, a, s}; got != want {
						t.Errorf("%s: %v bundles, attestations and signatures, want %v", step, got, want)
					}
				}
				push(t, to, "hello", w.signer(who, true, true), format)
				expect("first", 1)
				stamped, logged := w.stamped.Load(), w.logged.Load()
				again := push(t, to, "hello", w.signer(who, true, true), format)
				if again.Blobs+again.Manifests+len(again.Moved) != 0 {
					t.Errorf("the second push wrote: %+v", again)
				}
				if w.stamped.Load() != stamped || w.logged.Load() != logged {
					t.Error("the second push signed")
				}
				push(t, to, "hello", w.signer("somebody@example.org", true, true), format)
				expect("another identity", 2)
				if format == attest.Classic {
					push(t, to, "another", w.signer(who, true, true), format)
					expect("another statement", 2)
				}
			})
		}
	}
}

// One form after the other is the same as both at once.
func TestPublishTheOtherForm(t *testing.T) {
	w := newWorld(t)
	for name, to := range places(t) {
		t.Run(name, func(t *testing.T) {
			push(t, to, "hello", w.signer(who, true, true), attest.Bundles)
			push(t, to, "hello", w.signer(who, true, true), attest.Dual)
			if b, a, s := counts(t, to); b != 2 || a != 1 || s != 1 {
				t.Errorf("%d bundles, %d attestations, %d signatures", b, a, s)
			}
		})
	}
}

// Whatever lies in a repository is read without harm, and not taken for ours.
func TestItemsOfOthers(t *testing.T) {
	w, elsewhere := newWorld(t), newWorld(t)
	s := w.signer(who, true, true)
	payload := must(attest.Payload("minio", subject))
	foreign := must(elsewhere.signer(who, true, true).Signature(t.Context(), payload))
	for _, make := range []func() attest.Item{
		func() attest.Item { return must(s.Signature(t.Context(), payload)) },
		func() attest.Item {
			return must(s.Attestation(t.Context(), must(s.Bundle(t.Context(), statement(t)))))
		},
	} {
		if !s.Signed(make()) {
			t.Fatal("our own")
		}
		for name, change := range map[string]func(*attest.Item){
			"no certificate":     func(i *attest.Item) { delete(i.Annotations, attest.AnnotationCertificate) },
			"broken certificate": func(i *attest.Item) { i.Annotations[attest.AnnotationCertificate] = "x" },
			"broken chain":       func(i *attest.Item) { i.Annotations[attest.AnnotationChain] = "x" },
			"no timestamp":       func(i *attest.Item) { delete(i.Annotations, attest.AnnotationTimestamp) },
			"empty timestamp":    func(i *attest.Item) { i.Annotations[attest.AnnotationTimestamp] = "{}" },
			"broken timestamp":   func(i *attest.Item) { i.Annotations[attest.AnnotationTimestamp] = `{"SignedRFC3161Timestamp":"AAAA"}` },
			"another's timestamp": func(i *attest.Item) {
				i.Annotations[attest.AnnotationTimestamp] = foreign.Annotations[attest.AnnotationTimestamp]
			},
			"another's certificate": func(i *attest.Item) {
				i.Annotations[attest.AnnotationCertificate] = foreign.Annotations[attest.AnnotationCertificate]
			},
			"other content":  func(i *attest.Item) { i.Content = []byte(`{}`) },
			"no content":     func(i *attest.Item) { i.Content = nil },
			"no annotations": func(i *attest.Item) { i.Annotations = nil },
		} {
			item := make()
			change(&item)
			if s.Signed(item) && name != "broken chain" { // the trusted root has the chain too
				t.Errorf("%s: %s is taken", name, item.MediaType)
			}
		}
	}
	for _, content := range []string{"", "{}", `{"mediaType":"` + attest.MediaTypeBundle + `"}`} {
		if s.Signed(attest.BundleItem([]byte(content))) {
			t.Errorf("bundle %s is taken", content)
		}
	}
}
