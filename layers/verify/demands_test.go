package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
)

const testResult = "https://in-toto.io/attestation/test-result/v0.1"

func wants(names ...string) func(*verify.Rule) {
	return func(r *verify.Rule) {
		for _, p := range verify.KnownPredicates() {
			for _, name := range names {
				if p.Name == name {
					r.Predicates = append(r.Predicates, p)
				}
			}
		}
	}
}

// What only a rule wants has a status of its own.
func TestDemands(t *testing.T) {
	plain := func(t *testing.T, w world) { w.push(t, minio()) }
	with := func(more ...publish.Attestation) func(*testing.T, world) {
		return func(t *testing.T, w world) {
			s := minio()
			s.more = more
			w.push(t, s)
		}
	}
	refuse(t, map[string]refusal{
		"no VEX":        {want: verify.ErrPolicy, check: "predicate", bring: plain, rule: wants("vex")},
		"no CycloneDX":  {want: verify.ErrPolicy, check: "predicate", bring: plain, rule: wants("cyclonedx")},
		"no test":       {want: verify.ErrPolicy, check: "predicate", bring: plain, rule: wants("spdx", "slsa-provenance", "test-result")},
		"failed test":   {want: verify.ErrPolicy, check: "predicate", bring: with(says(testResult, []byte(`{"result":"FAILED"}`))), rule: wants("test-result")},
		"unread result": {want: verify.ErrPolicy, check: "predicate", bring: with(says(testResult, []byte(`{"result":[]}`))), rule: wants("test-result")},
		"VEX by a stranger": {want: verify.ErrPolicy, check: "predicate", rule: wants("vex"), bring: func(t *testing.T, w world) {
			w.push(t, minio())
			w.key = attesttest.NewKey(t)
			with(says(attest.PredicateVEX, []byte(`{}`)))(t, w)
		}},
		"too old": {want: verify.ErrPolicy, check: "age", bring: plain, rule: func(r *verify.Rule) { r.MaxAge = 23 * time.Hour }},
		"no date": {want: verify.ErrPolicy, check: "age", rule: func(r *verify.Rule) { r.MaxAge = 240 * time.Hour }, bring: func(t *testing.T, w world) {
			s := minio()
			s.config = func(c *ocispec.Image) { c.Created = nil }
			w.push(t, s)
		}},
		"no parent": {want: verify.ErrPolicy, check: "parents", bring: plain, rule: func(r *verify.Rule) { r.Parents = []string{"base-debian"} }},
		"another parent": {want: verify.ErrPolicy, check: "parents", rule: func(r *verify.Rule) { r.Parents = []string{"base-debian", "base-java"} },
			bring: func(t *testing.T, w world) {
				s := minio()
				_, s.base = w.push(t, spec{name: "base-debian", content: "base"})
				w.push(t, s)
			}},
		"parent not followed": {want: verify.ErrPolicy, check: "parents", rule: func(r *verify.Rule) { r.Parents = []string{"base-debian"} },
			edit: func(o *verify.Options) { o.NoChain = true }, bring: func(t *testing.T, w world) {
				s := minio()
				_, s.base = w.push(t, spec{name: "base-debian", content: "base"})
				w.push(t, s)
			}},
		"not allowed": {want: verify.ErrPolicy, check: "policy", bring: plain, edit: func(o *verify.Options) {
			o.Rules = func(string, string) (verify.Rule, error) {
				return verify.Rule{}, fmt.Errorf("%w: no entry", verify.ErrPolicy)
			}
		}},
		"base not allowed": {want: verify.ErrPolicy, check: "chain", edit: func(o *verify.Options) {
			all := o.Rules
			o.Rules = func(destination, image string) (verify.Rule, error) {
				if image == "base-debian" {
					return verify.Rule{}, fmt.Errorf("%w: no entry", verify.ErrPolicy)
				}
				return all(destination, image)
			}
		}, bring: func(t *testing.T, w world) {
			s := minio()
			_, s.base = w.push(t, spec{name: "base-debian", content: "base"})
			w.push(t, s)
		}},
	})
}

func TestDemandsMet(t *testing.T) {
	key := attesttest.NewKey(t)
	for name, dest := range destinations(t) {
		root := spec{name: "base-debian", content: "base"}.make(t)
		push(t, dest, root, key, attest.Dual)
		s := minio()
		s.base, s.cycloneDX = root, true
		s.more = []publish.Attestation{
			says(attest.PredicateVEX, []byte(`{}`)), says(testResult, []byte(`{"result":"FAILED"}`)), says(testResult, []byte(`{"result":"PASSED"}`)),
		}
		push(t, dest, s.make(t), key, attest.Dual)
		rule := verify.Rule{
			Signers: trust.Signers{must(trust.Key(key.Public()))}, MaxAge: 25 * time.Hour, Parents: []string{"base-debian"},
		}
		wants("vex", "cyclonedx", "test-result", "spdx", "slsa-provenance")(&rule)
		o := options(key)
		o.Rules, o.Now = verify.Always(rule), created().Add(24*time.Hour)
		// The rule holds for what is asked for; its bases have rules of their own.
		o.Rules = func(_, image string) (verify.Rule, error) {
			if image == "base-debian" {
				return verify.Rule{Signers: rule.Signers}, nil
			}
			return rule, nil
		}
		report, err := verify.Verify(t.Context(), dest+"/minio:1", o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := checks(report)
		if got["predicate"] != 3 || got["age"] != 1 || got["parents"] != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Manifests and configs that are signed and make no sense.
func TestMalformed(t *testing.T) {
	manifest := func(edit func(*ocispec.Manifest)) func(*testing.T, world) {
		return func(t *testing.T, w world) {
			s := minio()
			s.manifest = edit
			w.push(t, s)
		}
	}
	config := func(edit func(*ocispec.Image)) func(*testing.T, world) {
		return func(t *testing.T, w world) {
			s := minio()
			s.config = edit
			w.push(t, s)
		}
	}
	// raw signs a manifest as it is.
	raw := func(mediaType string, edit func(t *testing.T, m []byte) []byte) func(*testing.T, world) {
		return func(t *testing.T, w world) {
			repo, made := w.push(t, minio())
			m := publish.Manifest{MediaType: mediaType, Raw: edit(t, made.release.Images[0].Manifest)}
			retag(t, repo, m, "1")
			sign(t, repo, m, must(w.key.Signature(t.Context(), must(attest.Payload("minio", hex(m))))))
			b := must(w.key.Bundle(t.Context(), must(attest.SignStatement("minio", hex(m)))))
			refer(t, repo, m, b.Content)
		}
	}
	index := func(edit func(*ocispec.Index)) func(*testing.T, world) {
		return raw(ocispec.MediaTypeImageIndex, func(t *testing.T, m []byte) []byte {
			d := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: m}.Descriptor()
			d.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
			i := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{d}}
			i.SchemaVersion = 2
			edit(&i)
			return must(json.Marshal(i))
		})
	}
	all := map[string]refusal{
		"fewer diffIDs": {bring: config(func(c *ocispec.Image) { c.RootFS.DiffIDs = nil })},
		"other diffID":  {bring: config(func(c *ocispec.Image) { c.RootFS.DiffIDs = []digest.Digest{digest.FromString("x")} })},
		"odd diffID": {bring: config(func(c *ocispec.Image) {
			c.RootFS.DiffIDs = []digest.Digest{"sha512:" + digest.Digest(strings.Repeat("a", 128))}
		})},
		"artifact":      {bring: manifest(func(m *ocispec.Manifest) { m.ArtifactType = "application/x" })},
		"config's type": {bring: manifest(func(m *ocispec.Manifest) { m.Config.MediaType = "application/x" })},
		"key twice": {bring: raw(ocispec.MediaTypeImageManifest, func(_ *testing.T, m []byte) []byte {
			return bytes.Replace(m, []byte(`"layers":`), []byte(`"LAYERS":[],"layers":`), 1)
		})},
		"index of nothing":   {bring: index(func(i *ocispec.Index) { i.Manifests = []ocispec.Descriptor{} })},
		"platform twice":     {bring: index(func(i *ocispec.Index) { i.Manifests = append(i.Manifests, i.Manifests[0]) })},
		"no platform":        {bring: index(func(i *ocispec.Index) { i.Manifests[0].Platform = nil })},
		"index in an index":  {bring: index(func(i *ocispec.Index) { i.Manifests[0].MediaType = ocispec.MediaTypeImageIndex })},
		"platform not there": {only: "layout", bring: index(func(i *ocispec.Index) { i.Manifests[0].Digest = digest.FromString("none") })},
		"another platform":   {bring: index(func(i *ocispec.Index) { i.Manifests[0].Platform.Architecture = "arm64" })},
	}
	for name, r := range all {
		r.want, r.check = verify.ErrContent, "content"
		all[name] = r
	}
	refuse(t, all)
}

// A manifest that can be read as two things is not read at all, nor is what is
// no manifest.
func TestUnreadable(t *testing.T) {
	key := attesttest.NewKey(t)
	for what, raw := range map[string]string{
		"both":       `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"layers":[]}`,
		"not JSON":   `{"schemaVersion"`,
		"a list":     `[]`,
		"other type": `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","layers":[]}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			if strings.HasSuffix(r.URL.Path, "/manifests/1") {
				_, _ = io.WriteString(w, raw)
				return
			}
			http.NotFound(w, r)
		}))
		_, err := verify.Verify(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/shudl/minio:1", options(key))
		server.Close()
		if classOf(t, err) != verify.ErrContent {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Attachments that are too large or too many are refused, not read.
func TestTooMuch(t *testing.T) {
	big := func(items int, size int64, kind func(content []byte) attest.Item) []attest.Item {
		list := make([]attest.Item, items)
		for n := range list {
			list[n] = kind(fmt.Appendf(nil, "%d", n))
			if size > 0 {
				list[n].Size = size
			}
		}
		return list
	}
	signature := func(content []byte) attest.Item { return attest.SignatureItem(content, []byte("x")) }
	attestation := func(content []byte) attest.Item { return attest.AttestationItem(attest.PredicateSPDX, content) }
	unsigned := func(t *testing.T, w world) (publish.Repository, publish.Manifest) {
		repo := w.repository(t, "minio")
		return repo, bring(t, repo, minio().make(t).release.Images[0], "1")
	}
	refuse(t, map[string]refusal{
		"large signature": {want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			repo, m := unsigned(t, w)
			put(t, repo, attest.SignatureTag(hex(m)), big(1, publish.MaxStatement+1, signature)...)
		}},
		"larger than all together": {want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			repo, m := unsigned(t, w)
			put(t, repo, attest.SignatureTag(hex(m)), big(1, verify.MaxBeside+1, signature)...)
		}},
		"many signatures": {only: "ocimem", want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			repo, m := unsigned(t, w)
			all := must(attest.Assemble(big(1001, 0, signature)))
			must(0, repo.PutBlob(t.Context(), publish.BytesBlob(all.Config.MediaType, all.Config.Content)))
			for _, i := range all.Items {
				must(0, repo.PutBlob(t.Context(), publish.BytesBlob(i.MediaType, i.Content)))
			}
			retag(t, repo, publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: all.Raw}, attest.SignatureTag(hex(m)))
		}},
		"large attestation": {want: verify.ErrAttestation, check: "sbom", bring: func(t *testing.T, w world) {
			s := minio()
			s.without = []string{attest.PredicateSPDX, attest.PredicateSLSA}
			repo, _ := w.push(t, s)
			put(t, repo, attest.AttestationTag(hex(manifestAt(t, repo, "1"))), big(2, publish.MaxStatement+1, attestation)...)
		}},
	})
}

// A registry that fails is no finding: it was not asked, and says nothing of
// the image. The error is none that means "not signed" or "wrong".
func TestFailingRegistry(t *testing.T) {
	key := attesttest.NewKey(t)
	dest := destinations(t)["registry"]
	push(t, dest, minio().make(t), key, attest.Dual)
	host, path, _ := strings.Cut(dest, "/")
	target := must(url.Parse("http://" + host))
	for requests := range 14 {
		n := 0
		proxy := httputil.NewSingleHostReverseProxy(target)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n > requests+1 {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			proxy.ServeHTTP(w, r)
		}))
		o := options(key)
		_, err := verify.Verify(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/"+path+"/minio:1", o)
		server.Close()
		if err == nil {
			t.Errorf("after %d requests: taken", requests)
		}
		for _, class := range []error{verify.ErrNotSigned, verify.ErrNoTag, verify.ErrNoMatch, verify.ErrAttestation, verify.ErrContent, verify.ErrPolicy} {
			if errors.Is(err, class) {
				t.Errorf("after %d requests: %v is %v", requests, err, class)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Verify(ctx, dest+"/minio:1", options(key)); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
