package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/layers/trust/trusttest"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/layers/verify/policy"
	"github.com/shudl/shudl-assemble/recipes"
)

// must is for what cannot fail but by a mistake in the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sample is a small image with an SBOM and provenance that speak of it.
type sample struct {
	name  string
	date  time.Time
	base  *sample
	blobs []publish.Blob // of the layers
	ids   []digest.Digest
	raw   []byte
}

func (s *sample) digest() recipes.Digest { return recipes.Digest(digest.FromBytes(s.raw).Encoded()) }

func newSample(name string, date time.Time, base *sample) *sample {
	s := &sample{name: name, date: date.UTC().Truncate(time.Second), base: base}
	annotations := map[string]string{ocispec.AnnotationTitle: name, ocispec.AnnotationCreated: s.date.Format(time.RFC3339)}
	if base != nil {
		s.blobs, s.ids = slices.Clone(base.blobs[:len(base.blobs)-1]), slices.Clone(base.ids)
		annotations[ocispec.AnnotationBaseImageName] = base.name + ":1"
		annotations[ocispec.AnnotationBaseImageDigest] = "sha256:" + string(base.digest())
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	must(w.Write([]byte(name)))
	must(0, w.Close())
	s.blobs = append(s.blobs, publish.BytesBlob(ocispec.MediaTypeImageLayerGzip, packed.Bytes()))
	s.ids = append(s.ids, digest.FromString(name))
	config := publish.BytesBlob(ocispec.MediaTypeImageConfig, must(json.Marshal(ocispec.Image{
		Created: &s.date, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: s.ids},
	})))
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config.Descriptor, Annotations: annotations}
	m.SchemaVersion = 2
	for _, b := range s.blobs {
		m.Layers = append(m.Layers, b.Descriptor)
	}
	s.raw = must(json.Marshal(m))
	s.blobs = append(s.blobs, config)
	return s
}

// publish signs and publishes the image; without leaves statements out.
func (s *sample) publish(t *testing.T, dest string, signer attest.Signer, without ...string) {
	t.Helper()
	document := must(sbom.SPDX(t.Context(), sbom.Input{
		Name: s.name, Version: "1", Tag: "1", Platform: recipes.LinuxAMD64, Distro: recipes.Debian,
		Digest: s.digest(), Created: s.date, Tool: "test",
	}))
	image := publish.Image{Platform: recipes.LinuxAMD64, Manifest: s.raw, Blobs: s.blobs}
	for predicateType, predicate := range map[string][]byte{attest.PredicateSPDX: document, attest.PredicateSLSA: s.provenance()} {
		if !slices.Contains(without, predicateType) {
			image.Attestations = append(image.Attestations, publish.Attestation{
				PredicateType: predicateType, Predicate: func(context.Context) ([]byte, error) { return predicate, nil },
			})
		}
	}
	d := must(publish.ParseDestination(dest, publish.RegistryOptions{}))
	must(publish.Publish(t.Context(), d, publish.Release{Name: s.name, Images: []publish.Image{image}, Tags: []string{"1"}}, publish.Options{Signer: signer}))
}

func (s *sample) provenance() []byte {
	sum := provenance.Digests{SHA256: s.digest()}
	p := provenance.Predicate{RunDetails: provenance.RunDetails{Builder: provenance.Builder{ID: provenance.Local}}}
	d := &p.BuildDefinition
	d.BuildType = provenance.BuildType
	d.ExternalParameters = provenance.ExternalParameters{Image: s.name, Distro: recipes.Debian, Platform: recipes.LinuxAMD64, Compression: "gzip"}
	d.InternalParameters = provenance.InternalParameters{
		Recipes: []provenance.Resource{{Name: s.name, Digest: sum}}, Version: "1", BuildID: "0123abcd", LockDate: s.date,
		Encoder: provenance.Resource{Name: "encoder", Digest: sum},
	}
	if b := s.base; b != nil {
		parent := provenance.Digests{SHA256: b.digest()}
		d.InternalParameters.Recipes = slices.Insert(d.InternalParameters.Recipes, 0, provenance.Resource{Name: b.name, Digest: sum})
		d.ResolvedDependencies = []provenance.Resource{{
			Name: b.name, URI: "pkg:oci/" + b.name, Digest: parent, Annotations: map[string]string{provenance.AnnotationKind: provenance.KindParent},
		}}
	}
	return must(p.Encode())
}

// command runs the command and gives its exit status and output.
func command(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(append(args, "--progress", "plain"), &out, &errs)
	return status, out.String(), errs.String()
}

// keys writes a key pair and gives its public half's file.
func keys(t *testing.T, dir, name string) (*attest.Key, string) {
	t.Helper()
	private, public, err := attest.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	must(0, os.WriteFile(file, public, 0o644))
	return must(attest.ParseKey(private, nil)), file
}

// scenes are destinations below the current folder, each with something to be
// said of it, and keys, a trusted root and policies beside them.
func scenes(t *testing.T) (public, wrong string) {
	t.Helper()
	t.Chdir(t.TempDir())
	key, public := keys(t, ".", "release.pub")
	_, wrong = keys(t, ".", "wrong.pub")
	authority := must(trusttest.New())
	must(0, os.WriteFile("trusted_root.json", must(authority.TrustedRoot()), 0o644))
	signer := trusttest.Signer{Authority: authority, Identity: "release@example.org", Issuer: "https://issuer.example.org"}

	base := newSample("base-debian", time.Now(), nil)
	child := newSample("trino", time.Now(), base)
	base.publish(t, "oci:all", key)
	child.publish(t, "oci:all", key)
	child.publish(t, "oci:alone", key)
	newSample("base-debian", time.Now().Add(-48*time.Hour), nil).publish(t, "oci:old", key)
	base.publish(t, "oci:unsigned", nil)
	base.publish(t, "oci:bare", key, attest.PredicateSPDX)
	base.publish(t, "oci:unproven", key, attest.PredicateSLSA)
	base.publish(t, "oci:keyless", signer)
	must(0, os.WriteFile("policy.yaml", []byte(`version: 1
trusted-root: trusted_root.json
registries: ["oci:all", "oci:old", "oci:keyless"]
images:
  - match: ["base-*"]
    max-age: 1d
    signers:
      - key: release.pub
      - {identity: release@example.org, issuer: "https://issuer.example.org", insecure-ignore-sct: true}
  - match: [trino]
    parents: [base-debian]
    signers: [{key: release.pub}]
`), 0o644))
	must(0, os.WriteFile("broken.yaml", []byte("version: 1\nimages:\n  - matches: [x]\n"), 0o644))
	return public, wrong
}

// identity are the flags of a keyless signer.
func identity(who, from string, more ...string) []string {
	return append([]string{"--certificate-identity", who, "--certificate-oidc-issuer", from, "--trusted-root", "trusted_root.json"}, more...)
}

// The exit status is that of what was found, in each form of the output.
func TestVerifyStatuses(t *testing.T) {
	public, wrong := scenes(t)
	for _, test := range []struct {
		refs string
		args []string
		want int
	}{
		{"oci:all/trino:1", []string{"--key", public, "--layers"}, 0},
		{"oci:all/trino:1 oci:all/base-debian:1", []string{"--key", public}, 0},
		{"oci:unsigned/base-debian:1", []string{"--key", public}, 10},
		{"oci:all/trino:2", []string{"--key", public}, 11},
		{"oci:none/trino:1", []string{"--key", public}, 11},
		{"oci:all/trino:1", []string{"--key", wrong}, 12},
		{"oci:bare/base-debian:1", []string{"--key", public}, 13},
		{"oci:unproven/base-debian:1", []string{"--key", public}, 13},
		{"oci:alone/trino:1", []string{"--key", public}, 13},
		{"oci:alone/trino:1", []string{"--key", public, "--no-chain"}, 0},
		{"oci:all/trino:1 oci:bare/base-debian:1 oci:all/trino:2", []string{"--key", public}, 13}, // the first that failed
		{"oci:keyless/base-debian:1", identity("release@example.org", "https://issuer.example.org", "--insecure-ignore-sct"), 0},
		{"oci:keyless/base-debian:1", identity("release@example.org", "https://issuer.example.org"), 12},
		{"oci:keyless/base-debian:1", identity("mallory@example.org", "https://issuer.example.org", "--insecure-ignore-sct"), 12},
		{"oci:keyless/base-debian:1", identity("release@example.org", "https://mallory.example.org", "--insecure-ignore-sct"), 12},
		{"oci:keyless/base-debian:1", []string{"--key", public}, 12},
		{"oci:all/trino:1 oci:keyless/base-debian:1", []string{"--policy", "policy.yaml"}, 0},
		{"oci:old/base-debian:1", []string{"--policy", "policy.yaml"}, 22},
		{"oci:alone/trino:1", []string{"--policy", "policy.yaml"}, 22},
		{"oci:all/minio:1", []string{"--policy", "policy.yaml"}, 22},
		{"oci:all/trino:1", []string{"--policy", "policy.yaml", "--no-chain"}, 22}, // parents cannot be told
		{"oci:all/trino:1", []string{"--policy", "broken.yaml"}, 2},
		{"oci:all/trino:1", []string{"--policy", "policy.yaml", "--key", public}, 2},
		{"oci:all/trino:1", []string{"--policy", "policy.yaml", "--insecure-ignore-tlog"}, 2},
		{"oci:all/trino:1", []string{"--policy", "none.yaml"}, 2},
		{"oci:all/trino:1", identity("release@example.org", "https://issuer.example.org", "--key", public), 2},
		{"oci:all/trino:1", []string{"--key", public, "--trusted-root", "trusted_root.json"}, 2},
		{"oci:all/trino:1", []string{"--key", public, "--insecure-ignore-tlog"}, 2},
		{"oci:all/trino:1", []string{"--key", public, "--insecure-ignore-sct"}, 2},
		{"oci:all/trino:1", []string{"--certificate-identity", "x", "--trusted-root", "trusted_root.json"}, 2},
		{"oci:all/trino:1", []string{"--certificate-identity", "x", "--certificate-oidc-issuer", "y"}, 2},
		{"oci:all/trino:1", []string{"--certificate-identity-regexp", "(", "--certificate-oidc-issuer", "y", "--trusted-root", "trusted_root.json"}, 2},
		{"oci:all/trino:1", []string{"--key", public, "--output", "sarif"}, 2},
		{"not a reference", []string{"--key", public}, 2},
	} {
		args := append(append([]string{"verify"}, strings.Fields(test.refs)...), test.args...)
		if got, stdout, stderr := command(args...); got != test.want || (test.want == 0) != (stderr == "") || test.want != 2 && stdout == "" {
			t.Errorf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, test.want, stdout, stderr)
		}
		if test.want == 2 {
			continue
		}
		got, stdout, stderr := command(append(args, "--output", "json")...)
		var report reportsJSON
		d := json.NewDecoder(strings.NewReader(stdout))
		d.DisallowUnknownFields()
		if err := d.Decode(&report); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, stdout)
			continue
		}
		if got != test.want || int(report.Status) != test.want || report.OK != (test.want == 0) || (test.want == 0) != (stderr == "") {
			t.Errorf("%s as JSON: exit %d, status %d, ok %v, want %d\n%s%s", strings.Join(args, " "), got, report.Status, report.OK, test.want, stdout, stderr)
		}
	}
}

// sbom trusts by the same rules.
func TestSBOMStatuses(t *testing.T) {
	public, wrong := scenes(t)
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"oci:all/trino:1", "--key", public}, 0},
		{[]string{"oci:all/trino:1", "--key", wrong}, 13},
		{[]string{"oci:all/trino:1", "--policy", "policy.yaml"}, 0},
		{[]string{"oci:alone/trino:1", "--policy", "policy.yaml"}, 22},
		{append([]string{"oci:keyless/base-debian:1"}, identity("release@example.org", "https://issuer.example.org", "--insecure-ignore-sct")...), 0},
		{append([]string{"oci:keyless/base-debian:1"}, identity("mallory@example.org", "https://issuer.example.org", "--insecure-ignore-sct")...), 13},
		{[]string{"oci:keyless/base-debian:1", "--unverified"}, 0},
		{[]string{"oci:bare/base-debian:1", "--unverified"}, 13},
	} {
		got, stdout, stderr := command(append([]string{"sbom"}, test.args...)...)
		if got != test.want || (got == 0) != strings.Contains(stdout, `"spdxVersion"`) {
			t.Errorf("sbom %s: exit %d, want %d\n%.200s%s", strings.Join(test.args, " "), got, test.want, stdout, stderr)
		}
	}
}

// The names of the JSON form are what other programs go by.
func TestReportJSON(t *testing.T) {
	var b bytes.Buffer
	report := verify.Report{
		Reference: "oci:x/minio:1", Digest: "sha256:aa", Signers: "key 12",
		Findings: []verify.Finding{{
			Check: "sbom", Image: "minio", Digest: "sha256:aa", Platform: "linux/amd64", Expected: "one", Found: "<none>", Advice: "push it again",
			Class: verify.ErrAttestation,
		}},
		Skipped: []string{"layers"},
	}
	if err := writeVerifiedJSON(&b, []verified{{report, fmt.Errorf("verify: %w", verify.ErrAttestation)}}); err != nil {
		t.Fatal(err)
	}
	const want = `{
  "schema": 1,
  "ok": false,
  "status": 13,
  "references": [
    {
      "reference": "oci:x/minio:1",
      "digest": "sha256:aa",
      "signers": "key 12",
      "ok": false,
      "status": 13,
      "error": "verify: attestation missing or wrong",
      "skipped": [
        "layers"
      ],
      "findings": [
        {
          "check": "sbom",
          "image": "minio",
          "digest": "sha256:aa",
          "platform": "linux/amd64",
          "ok": false,
          "status": 13,
          "expected": "one",
          "found": "<none>",
          "advice": "push it again",
          "others": []
        }
      ]
    }
  ]
}
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestReportTable(t *testing.T) {
	var b bytes.Buffer
	digest := "sha256:" + strings.Repeat("ab", 32)
	report := verify.Report{
		Reference: "oci:x/minio:1", Digest: digest,
		Findings: []verify.Finding{
			{Check: "signature", Image: "minio", Digest: digest, OK: true, Found: "by key \x1b[31m12", Others: []string{"refused: by mallory"}},
			{Check: "sbom", Image: "minio", Digest: digest, Platform: "linux/amd64", Expected: "one", Found: "none\nok  all", Advice: "push it again"},
		},
		Skipped: []string{"layers"},
	}
	if err := writeVerified(&b, []verified{{report, verify.ErrAttestation}}); err != nil {
		t.Fatal(err)
	}
	want := "oci:x/minio:1@" + digest + `: FAILED
RESULT  CHECK      IMAGE  PLATFORM     DIGEST               FOUND
ok      signature  minio  -            sha256:abababababab  by key \x1b[31m12 (and 1 more, 1 of them refused)
FAILED  sbom       minio  linux/amd64  sha256:abababababab  none\nok  all
sbom of minio ` + digest + ` failed:
  expected: one
  found: none\nok  all
  do: push it again
not checked: layers
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// The policies that help and README show are such that they are taken.
func TestPolicyExamples(t *testing.T) {
	dir := t.TempDir()
	_, public := keys(t, dir, "release.pub")
	must(0, os.WriteFile(filepath.Join(dir, "cosign.pub"), must(os.ReadFile(public)), 0o644))
	root := must(must(trusttest.New()).TrustedRoot())
	must(0, os.WriteFile(filepath.Join(dir, "trusted_root.json"), root, 0o644))
	indent := map[string]string{"help": "  "}
	for name, text := range map[string]string{"help": verifyHelp, "README": string(must(os.ReadFile("../../README.md")))} {
		at := strings.Index(text, "version: 1\n")
		if at < 0 {
			t.Errorf("%s shows no policy", name)
			continue
		}
		var example strings.Builder
		for line := range strings.Lines(text[at:]) {
			if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "```") {
				break
			}
			example.WriteString(strings.TrimPrefix(line, indent[name]))
		}
		file := filepath.Join(dir, "policy.yaml")
		must(0, os.WriteFile(file, []byte(example.String()), 0o644))
		p, err := policy.Open(file)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, example.String())
			continue
		}
		org := map[string]string{"help": "org", "README": "you"}[name]
		rule, err := p.Rule("ghcr.io/"+org+"/lakehouse", "trino")
		if err != nil || len(rule.Signers) == 0 || rule.MaxAge != 90*24*time.Hour {
			t.Errorf("%s: %+v, %v", name, rule, err)
		}
	}
}
