package publish_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// withAPI serves a registry that has the referrers API; of the others, ocimem
// has it too.
func withAPI(t *testing.T) string {
	return serve(t, registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
}

// withReferrers is everywhere, and go-containerregistry's server with the
// referrers API.
func withReferrers(t *testing.T) []place {
	return append(everywhere(t), place{"ggcr with referrers", destination(t, withAPI(t)+"/shudl/images")})
}

// referrer makes the manifest that brings a bundle to a subject, and writes
// its blobs.
func referrer(t *testing.T, repo publish.Repository, subject ocispec.Descriptor, key *attest.Key, predicateType, predicate string) publish.Manifest {
	t.Helper()
	hex, err := publish.Hex(subject.Digest)
	if err != nil {
		t.Fatal(err)
	}
	statement, err := attest.NewStatement(repo.Name(), hex, predicateType, []byte(predicate))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := key.Bundle(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	m, err := attest.Referrer(subject, predicateType, bundle.Content)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range append(m.Items, m.Config) {
		if err := repo.PutBlob(t.Context(), publish.BytesBlob(item.MediaType, item.Content)); err != nil {
			t.Fatal(err)
		}
	}
	return publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: m.Raw}
}

func putReferrer(t *testing.T, repo publish.Repository, m publish.Manifest) bool {
	t.Helper()
	written, err := repo.PutReferrers(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return len(written) > 0
}

// predicates counts the bundles of each predicate type.
func predicates(t *testing.T, dest publish.Destination, subject digest.Digest, key *attest.Key) map[string]int {
	t.Helper()
	repo, err := destination(t, dest.String()).Repository("postgresql")
	if err != nil {
		t.Fatal(err)
	}
	bundles, err := publish.Bundles(t.Context(), repo, subject)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := attest.NewVerifier(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	hex, _ := publish.Hex(subject)
	counts := map[string]int{}
	for _, b := range bundles {
		statement, err := verifier.Bundle(b.Content, hex)
		if err != nil {
			t.Errorf("bundle of %s: %v", subject, err)
			continue
		}
		counts[statement.PredicateType]++
	}
	return counts
}

func TestReferrers(t *testing.T) {
	for _, where := range withReferrers(t) {
		t.Run(where.name, func(t *testing.T) {
			key := attesttest.NewKey(t)
			result := mustPublish(t, where.dest, postgresql().release(t, t.TempDir()), publish.Options{Signer: key, Format: attest.Classic})
			repo, _ := where.dest.Repository("postgresql")
			subject, err := repo.Manifest(t.Context(), result.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if listed, err := repo.Referrers(t.Context(), result.Digest); err != nil || len(listed) != 0 {
				t.Errorf("before: %v, %v", listed, err)
			}
			d := subject.Descriptor()
			one := referrer(t, repo, d, key, attest.PredicateSign, `{}`)
			two := referrer(t, repo, d, key, attest.PredicateSPDX, `{"a":1}`)
			stray := d
			stray.Digest = digest.FromString("another image")
			three := referrer(t, repo, stray, key, attest.PredicateSign, `{}`)
			for _, m := range []publish.Manifest{one, two, three} {
				if !putReferrer(t, repo, m) {
					t.Error("not written the first time")
				}
				if putReferrer(t, repo, m) {
					t.Error("written a second time")
				}
			}
			listed, err := repo.Referrers(t.Context(), result.Digest)
			if err != nil {
				t.Fatal(err)
			}
			var got []digest.Digest
			for _, r := range listed {
				got = append(got, r.Digest)
			}
			want := []digest.Digest{one.Digest(), two.Digest()}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("listed %v, want %v", got, want)
			}
			if got, want := predicates(t, where.dest, result.Digest, key), map[string]int{attest.PredicateSign: 1, attest.PredicateSPDX: 1}; !maps.Equal(got, want) {
				t.Errorf("bundles %v, want %v", got, want)
			}
			if !completeIn(t, repo, "latest", key, attest.Classic) {
				t.Error("no tag")
			}
		})
	}
}

// A manifest that names no subject is not written as a referrer.
func TestReferrerWithoutSubject(t *testing.T) {
	for _, where := range withReferrers(t) {
		repo, _ := where.dest.Repository("postgresql")
		m := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: postgresql().release(t, t.TempDir()).Images[0].Manifest}
		if _, err := repo.PutReferrers(t.Context(), m); err == nil {
			t.Errorf("%s: taken", where.name)
		}
	}
}

// Referrers that a reader cannot use hide none that it can.
func TestBrokenReferrersAreLeftOut(t *testing.T) {
	dest, key := destination(t, "oci:"+t.TempDir()), attesttest.NewKey(t)
	result := mustPublish(t, dest, postgresql().release(t, t.TempDir()), publish.Options{Signer: key, Format: attest.Classic})
	repo, _ := dest.Repository("postgresql")
	subject, _ := repo.Manifest(t.Context(), result.Digest)
	d := subject.Descriptor()
	putReferrer(t, repo, referrer(t, repo, d, key, attest.PredicateSign, `{}`))
	for i, layers := range [][]ocispec.Descriptor{
		{{MediaType: "application/vnd.cncf.notary.signature", Digest: digest.FromString("x"), Size: 1}},
		{{MediaType: attest.MediaTypeBundle, Digest: digest.FromString("missing"), Size: 7}},
		{{MediaType: attest.MediaTypeBundle, Digest: digest.FromString("large"), Size: publish.MaxStatement + 1}},
		{},
	} {
		raw, err := json.Marshal(ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: ocispec.DescriptorEmptyJSON, Layers: layers, Subject: &d,
			Annotations: map[string]string{"i": fmt.Sprint(i)},
		})
		if err != nil {
			t.Fatal(err)
		}
		putReferrer(t, repo, publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: raw})
	}
	if got := predicates(t, dest, result.Digest, key); !maps.Equal(got, map[string]int{attest.PredicateSign: 1}) {
		t.Errorf("bundles: %v", got)
	}
}

// A crash between the manifest and the fallback tag is repaired.
func TestFallbackTagIsRepaired(t *testing.T) {
	host := registries()["ggcr"](t)
	front := inject(t, host)
	dest, key := destination(t, serve(t, front)+"/shudl"), attesttest.NewKey(t)
	result := mustPublish(t, dest, postgresql().release(t, t.TempDir()), publish.Options{Signer: key, Format: attest.Classic})
	repo, _ := dest.Repository("postgresql")
	subject, _ := repo.Manifest(t.Context(), result.Digest)
	m := referrer(t, repo, subject.Descriptor(), key, attest.PredicateSign, `{}`)
	front.arm(refused, 2, 2, nil) // the manifest is written, the tag is not
	if _, err := repo.PutReferrers(t.Context(), m); err == nil {
		t.Fatal("no error")
	}
	front.disarm()
	if listed, _ := repo.Referrers(t.Context(), result.Digest); len(listed) != 0 {
		t.Fatal("listed without a fallback tag")
	}
	if !putReferrer(t, repo, m) {
		t.Error("not written again")
	}
	if got := predicates(t, dest, result.Digest, key); got[attest.PredicateSign] != 1 {
		t.Errorf("bundles: %v", got)
	}
}

// Eight writers of one fallback tag, each with its own key, at once.
func TestFallbackTagOfManyWriters(t *testing.T) {
	host := registries()["ggcr"](t)
	dest := destination(t, host+"/shudl")
	result := mustPublish(t, dest, postgresql().release(t, t.TempDir()), publish.Options{Signer: attesttest.NewKey(t), Format: attest.Classic})
	repo, _ := dest.Repository("postgresql")
	subject, _ := repo.Manifest(t.Context(), result.Digest)
	m := make([]publish.Manifest, 8)
	for i := range m {
		m[i] = referrer(t, repo, subject.Descriptor(), attesttest.NewKey(t), attest.PredicateSign, `{}`)
	}
	var wg sync.WaitGroup
	for i := range m {
		wg.Go(func() {
			own, _ := destination(t, dest.String()).Repository("postgresql")
			if _, err := own.PutReferrers(t.Context(), m[i]); err != nil {
				t.Logf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	// Whoever was taken away after it had looked is there after its next push.
	for i := range m {
		putReferrer(t, repo, m[i])
	}
	if listed, err := repo.Referrers(t.Context(), result.Digest); err != nil || len(listed) != len(m) {
		t.Errorf("%d listed of %d, %v", len(listed), len(m), err)
	}
}

// The list of referrers comes in pages.
func TestReferrersInPages(t *testing.T) {
	subject := digest.FromString("subject")
	page := func(s string) []byte {
		raw, err := json.Marshal(ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
			Manifests: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(s), Size: 1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	next := "/v2/shudl/postgresql/referrers/" + subject.String() + "?last=1"
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if filepath.Base(r.URL.Path) != subject.String() {
			return
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		if r.URL.RawQuery == "" {
			w.Header().Set("Link", "<"+next+`>; rel="next"`)
			w.Write(page("one"))
			return
		}
		w.Write(page("two"))
	})
	repo, _ := destination(t, serve(t, mux)+"/shudl").Repository("postgresql")
	if listed, err := repo.Referrers(t.Context(), subject); err != nil || len(listed) != 2 {
		t.Errorf("%v, %v", listed, err)
	}
	next = "http://192.0.2.1" + next
	if listed, err := repo.Referrers(t.Context(), subject); err == nil {
		t.Errorf("another host was followed: %v", listed)
	}
}

// The same images, pushed with one key to two fresh registries at the same
// address, are the same manifests, signatures and lists of referrers included.
func TestFreshRegistriesAreEqual(t *testing.T) {
	for _, referrers := range []bool{false, true} {
		var mu sync.Mutex
		var inner http.Handler
		var written map[string]digest.Digest
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/") {
				body, _ := io.ReadAll(req.Body)
				req.Body = io.NopCloser(bytes.NewReader(body))
				mu.Lock()
				written[req.URL.Path] = digest.FromBytes(body) // the last one counts
				mu.Unlock()
			}
			inner.ServeHTTP(w, req)
		}))
		key := attesttest.NewKey(t)
		var all []map[string]digest.Digest
		for range 2 {
			inner = registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0)))
			written = map[string]digest.Digest{}
			release := postgresql().release(t, t.TempDir(), recipes.LinuxAMD64, recipes.LinuxARM64)
			mustPublish(t, destination(t, host+"/shudl"), release, publish.Options{Signer: key})
			all = append(all, written)
		}
		// Three images and the bundles by digest, two of each platform and one
		// of the index; as many classic manifests by their tags; tags and
		// fallback tags.
		want := 3 + 2*(2*2+1) + 3
		if !referrers {
			want += 3
		}
		if !maps.Equal(all[0], all[1]) || len(all[0]) != want {
			t.Errorf("referrers %t: %d and %d manifests, want %d, the same:\n%v\n%v", referrers, len(all[0]), len(all[1]), want, all[0], all[1])
		}
	}
}
