package verify_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/trust/trusttest"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

// checks counts the findings of each kind.
func checks(r verify.Report) map[string]int {
	n := map[string]int{}
	for _, f := range r.Findings {
		if f.OK {
			n[f.Check]++
		}
	}
	return n
}

func TestVerify(t *testing.T) {
	for _, archs := range [][]string{{"amd64"}, {"amd64", "arm64"}} {
		for name, dest := range destinations(t) {
			key, format := attesttest.NewKey(t), formatAt(name)
			root := spec{name: "base-debian", content: "base", archs: archs}.make(t)
			java := spec{name: "base-java", content: "java", archs: archs, base: root}.make(t)
			trino := spec{name: "trino", content: "trino", archs: archs, base: java, cycloneDX: true}.make(t)
			var repo publish.Repository
			for _, m := range []*made{root, java, trino} {
				repo = push(t, dest, m, key, format)
			}
			report, err := verify.Verify(t.Context(), dest+"/trino:1", options(key))
			if err != nil {
				t.Fatalf("%s, %s: %v", name, format, err)
			}
			n := len(archs)
			signatures := 3 * n // of the image and two bases
			if n > 1 {
				signatures++ // of the index
			}
			got := checks(report)
			for check, want := range map[string]int{"signature": signatures, "content": n, "sbom": n, "cyclonedx": n, "provenance": n, "chain": 2 * n} {
				if got[check] != want {
					t.Errorf("%s, %s, %d platforms: %d findings %s, want %d", name, format, n, got[check], check, want)
				}
			}
			d := must(repo.Resolve(t.Context(), "1"))
			if report.Digest != d.Digest.String() || report.Signers != "key "+key.ID() || !report.OK {
				t.Errorf("%s: %+v", name, report)
			}
			byDigest, err := verify.Verify(t.Context(), dest+"/trino@"+d.Digest.String(), options(key))
			if err != nil || byDigest.Digest != report.Digest {
				t.Errorf("%s: by digest: %v", name, err)
			}
			document, err := verify.SBOM(t.Context(), dest+"/trino:1", "linux/amd64", options(key))
			if err != nil || !bytes.Contains(document, []byte(`"spdxVersion":"SPDX-2.3"`)) {
				t.Errorf("%s: SBOM %.60s, %v", name, document, err)
			}
		}
	}
}

// One good signature suffices, whoever else signed; the others are listed.
func TestOthersAreListed(t *testing.T) {
	key, stranger := attesttest.NewKey(t), attesttest.NewKey(t)
	for name, dest := range destinations(t) {
		m := spec{name: "minio", content: "content"}.make(t)
		push(t, dest, m, stranger, attest.Dual)
		push(t, dest, m, key, attest.Dual)
		report, err := verify.Verify(t.Context(), dest+"/minio:1", options(key))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f := finding(t, report, "signature")
		all := strings.Join(f.Others, "\n")
		if len(f.Others) != 3 || strings.Count(all, "refused: ") != 2 || !strings.Contains(all, "bundle by key "+key.ID()) {
			t.Errorf("%s: others: %s", name, all)
		}
	}
}

func TestKeyless(t *testing.T) {
	a := must(trusttest.New())
	signer := trusttest.Signer{Authority: a, Identity: "release@example.org", Issuer: "https://issuer.example.org"}
	identity := func(o trust.IdentityOptions) verify.Options {
		o.Root, o.IgnoreSCT = a, true
		return verify.Options{Rules: rules(must(trust.Identity(o))), Layers: true, Registry: quick()}
	}
	right := trust.IdentityOptions{Identity: signer.Identity, Issuer: signer.Issuer}
	for name, dest := range destinations(t) {
		format := formatAt(name)
		root := spec{name: "base-debian", content: "base"}.make(t)
		minio := spec{name: "minio", content: "minio", archs: []string{"amd64"}, base: root}.make(t)
		push(t, dest, root, signer, format)
		push(t, dest, minio, signer, format)
		report, err := verify.Verify(t.Context(), dest+"/minio:1", identity(right))
		if err != nil {
			t.Fatalf("%s, %s: %v", name, format, err)
		}
		f := finding(t, report, "signature")
		if !strings.Contains(f.Found, "release@example.org (issuer https://issuer.example.org)") {
			t.Errorf("%s: found %s", name, f.Found)
		}
		if !strings.Contains(strings.Join(report.Skipped, "\n"), "SCT") {
			t.Errorf("%s: skipped %q", name, report.Skipped)
		}
		for why, o := range map[string]trust.IdentityOptions{
			"identity": {Identity: "mallory@example.org", Issuer: signer.Issuer},
			"issuer":   {Identity: signer.Identity, Issuer: "https://mallory.example.org"},
		} {
			report, err := verify.Verify(t.Context(), dest+"/minio:1", identity(o))
			if classOf(t, err) != verify.ErrNoMatch {
				t.Errorf("%s, %s, another %s: %v", name, format, why, err)
			}
			if f := finding(t, report, "signature"); !strings.Contains(f.Found, "release@example.org") {
				t.Errorf("%s: the finding does not say who signed: %+v", name, f)
			}
		}
		if _, err := verify.Verify(t.Context(), dest+"/minio:1", options(attesttest.NewKey(t))); classOf(t, err) != verify.ErrNoMatch {
			t.Errorf("%s, %s, a key: %v", name, format, err)
		}
	}
}

func TestChangedLayer(t *testing.T) {
	dir, key := t.TempDir(), attesttest.NewKey(t)
	m := spec{name: "minio", content: "content"}.make(t)
	push(t, "oci:"+dir, m, key, attest.Dual)
	layer := m.release.Images[0].Blobs[0]
	path := filepath.Join(dir, "minio", "blobs", "sha256", layer.Digest.Encoded())
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), int(layer.Size)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Verify(t.Context(), "oci:"+dir+"/minio:1", options(key)); classOf(t, err) != verify.ErrContent {
		t.Errorf("error %v, want ErrContent", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o := options(key)
	o.Layers = false
	if _, err := verify.Verify(t.Context(), "oci:"+dir+"/minio:1", o); classOf(t, err) != verify.ErrContent {
		t.Errorf("error %v, want ErrContent", err)
	}
}

func TestSBOMIsVerified(t *testing.T) {
	key, wrong := attesttest.NewKey(t), attesttest.NewKey(t)
	for name, dest := range destinations(t) {
		push(t, dest, spec{name: "minio", content: "content", archs: []string{"amd64", "arm64"}}.make(t), key, attest.Dual)
		if _, err := verify.SBOM(t.Context(), dest+"/minio:1", "linux/amd64", options(wrong)); classOf(t, err) != verify.ErrAttestation {
			t.Errorf("%s: by another key: %v", name, err)
		}
		anybody := verify.Options{Rules: rules(trust.Unverified()), Registry: quick()}
		if _, err := verify.SBOM(t.Context(), dest+"/minio:1", "linux/amd64", anybody); err != nil {
			t.Errorf("%s: unverified: %v", name, err)
		}
		if _, err := verify.SBOM(t.Context(), dest+"/minio:1", "linux/s390x", options(key)); !errors.Is(err, verify.ErrUsage) {
			t.Errorf("%s: a platform that is not there: %v", name, err)
		}
		if _, err := verify.SBOM(t.Context(), dest+"/minio:2", "linux/amd64", options(key)); classOf(t, err) != verify.ErrNoTag {
			t.Errorf("%s: no such tag: %v", name, err)
		}
		single := spec{name: "minio", content: "single"}.make(t)
		single.release.Tags = []string{"4"}
		push(t, dest, single, key, attest.Dual)
		for platform, want := range map[recipes.Platform]error{"": nil, "linux/amd64": nil, "linux/arm64": verify.ErrUsage} {
			if _, err := verify.SBOM(t.Context(), dest+"/minio:4", platform, options(key)); !errors.Is(err, want) {
				t.Errorf("%s: of an image for linux/amd64 alone, asked for %q: %v", name, platform, err)
			}
		}
		m := spec{name: "minio", content: "third", about: hex(publish.Manifest{Raw: []byte("other")})}.make(t)
		m.release.Tags = []string{"3"}
		push(t, dest, m, key, attest.Dual)
		if _, err := verify.SBOM(t.Context(), dest+"/minio:3", "linux/amd64", options(key)); classOf(t, err) != verify.ErrAttestation {
			t.Errorf("%s: of another manifest: %v", name, err)
		}
	}
}

func TestSomebodyIsNeeded(t *testing.T) {
	for what, r := range map[string]verify.Rules{"nobody": rules(), "no key": verify.Always(verify.Rule{})} {
		if _, err := verify.Verify(t.Context(), "oci:dir/minio:1", verify.Options{Rules: r}); !errors.Is(err, verify.ErrUsage) {
			t.Errorf("%s: error %v, want ErrUsage", what, err)
		}
	}
}

// A statement may bind a digest alone, as cosign's own do; then the manifest
// says whose it is.
func TestNamelessSignature(t *testing.T) {
	key := attesttest.NewKey(t)
	for name, dest := range destinations(t) {
		m := spec{name: "minio", content: "content"}.make(t)
		repo := push(t, dest, m, key, attest.Classic)
		top := manifestAt(t, repo, "1")
		retag(t, repo, emptyClassic(t, repo), attest.SignatureTag(hex(top)))
		b := must(key.Bundle(t.Context(), must(attest.NewStatement("", hex(top), attest.PredicateSign, []byte("{}")))))
		refer(t, repo, top, b.Content)
		if _, err := verify.Verify(t.Context(), dest+"/minio:1", options(key)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// The same, brought under another image's name.
		d := must(publish.ParseDestination(dest, quick()))
		other := must(d.Repository("trino"))
		bring(t, other, m.release.Images[0], "1")
		refer(t, other, top, b.Content)
		if _, err := verify.Verify(t.Context(), dest+"/trino:1", options(key)); classOf(t, err) != verify.ErrNoMatch {
			t.Errorf("%s: under another image's name: %v", name, err)
		}
	}
}

// emptyClassic is a manifest of no signatures.
func emptyClassic(t *testing.T, repo publish.Repository) publish.Manifest {
	t.Helper()
	empty := must(attest.Assemble(nil))
	if err := repo.PutBlob(t.Context(), publish.BytesBlob(empty.Config.MediaType, empty.Config.Content)); err != nil {
		t.Fatal(err)
	}
	return publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: empty.Raw}
}

// refer puts a bundle beside a manifest.
func refer(t *testing.T, repo publish.Repository, m publish.Manifest, content []byte) {
	t.Helper()
	r := must(attest.Referrer(m.Descriptor(), attest.PredicateSign, content))
	for _, b := range []attest.Item{r.Config, r.Items[0]} {
		if err := repo.PutBlob(t.Context(), publish.BytesBlob(b.MediaType, b.Content)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repo.PutReferrers(t.Context(), publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: r.Raw}); err != nil {
		t.Fatal(err)
	}
}
