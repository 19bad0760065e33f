package policy_test

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/trust/trusttest"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/layers/verify/policy"
	"github.com/shudl/shudl-assemble/recipes"
)

// folder is where a policy stands, with a key and a trusted root beside it.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	_, public, err := attest.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := trusttest.New()
	if err != nil {
		t.Fatal(err)
	}
	root, err := authority.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"release.pub": public, "trusted_root.json": root,
		"broken.pub":  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
		"empty.json":  []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`),
		"broken.json": []byte(`[]`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// whole is a policy with everything in it.
const whole = `version: 1
trusted-root: trusted_root.json
registries: [ghcr.io/org/lakehouse, "oci:"]
images:
  - match: ["base-*"]
    signers: [{key: release.pub}]
  - match: [ghcr.io/org/*/postgresql, "oci:**/postgresql"]
    signers:
      - key: release.pub
      - identity: https://github.com/org/lakehouse/.github/workflows/publish.yaml@refs/heads/main
        issuer: https://token.actions.githubusercontent.com
      - identity-regexp: https://github\.com/org/.*
        issuer-regexp: https://token\.actions\.githubusercontent\.com
        insecure-ignore-sct: true
        insecure-ignore-tlog: true
    predicates: [cyclonedx, vex, "https://example.org/review/v1"]
    max-age: 90d
    parents: [base-postgresql, base-debian]
  - match: ["*"]
    registries: [ghcr.io/org/lakehouse]
    max-age: 36h
    signers: [{key: release.pub}]
`

func read(t testing.TB, dir, text string) (*policy.Policy, error) {
	t.Helper()
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return policy.Open(file)
}

func TestRule(t *testing.T) {
	p, err := read(t, folder(t), whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		destination, image string
		signers            int
		age                time.Duration
	}{
		{"ghcr.io/org/lakehouse", "base-java", 1, 0},
		{"ghcr.io/org/lakehouse", "postgresql", 3, 90 * 24 * time.Hour},
		{"oci:shudl-images", "postgresql", 3, 90 * 24 * time.Hour},
		{"ghcr.io/org/lakehouse/more", "minio", 1, 36 * time.Hour},
	} {
		rule, err := p.Rule(test.destination, test.image)
		if err != nil {
			t.Errorf("%s, %s: %v", test.destination, test.image, err)
			continue
		}
		if len(rule.Signers) != test.signers || rule.MaxAge != test.age || !strings.Contains(rule.Source, "policy.yaml:") {
			t.Errorf("%s, %s: %+v", test.destination, test.image, rule)
		}
	}
	rule, _ := p.Rule("ghcr.io/org/lakehouse", "postgresql")
	if len(rule.Predicates) != 3 || len(rule.Parents) != 2 || len(rule.Signers.Skips()) != 3 {
		t.Errorf("%+v, skips %q", rule, rule.Signers.Skips())
	}
	for _, test := range [][2]string{
		{"ghcr.io/org", "base-java"},                // above what is allowed
		{"ghcr.io/org/lakehouse-evil", "base-java"}, // beside it
		{"ghcr.io.evil.org/org/lakehouse", "base-java"},
		{"oci:shudl-images", "minio"}, // its own entry allows a registry alone
	} {
		if _, err := p.Rule(test[0], test[1]); !errors.Is(err, verify.ErrPolicy) {
			t.Errorf("%s: %v, want ErrPolicy", test, err)
		}
	}
	p, err = read(t, folder(t), "version: 1\nimages: [{match: [a], signers: [{key: release.pub}]}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Rule("anywhere.example.org", "a"); err != nil {
		t.Error(err)
	}
	if _, err := p.Rule("anywhere.example.org", "b"); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("an image without an entry: %v, want ErrPolicy", err)
	}
}

// Each mistake is told with file, line, column and key.
func TestMistakes(t *testing.T) {
	dir := folder(t)
	const head = "version: 1\nimages:\n  - match: [\"*\"]\n"
	const signers = head + "    signers: [{key: release.pub}]\n"
	for text, want := range map[string]string{
		"":                                     "1:1: a policy is exactly one YAML document",
		"version: 2\n" + whole[11:]:            "1:1: version: 2: this program reads version 1",
		"images: []\n":                         "1:1: images: want at least one entry",
		"version: 1\nimage: []\n":              `2:1: image: unknown field "image"`,
		"version: 1\nversion: 1\nimages: []\n": "2:1: version: duplicate key",
		"version: one\nimages: []\n":           "1:10: ",
		"version: &a 1\nimages: *a\n":          "anchors, aliases, tags and merge keys are no part of the format",
		"version: !!int 1\n":                   "anchors, aliases, tags and merge keys are no part of the format",
		head:                                   "3:5: images[0].signers: want at least one signer",
		signers + "    extra: 1\n":             `5:5: images[0].extra: unknown field "extra"`,
		signers + "    max-age: soon\n":        `5:5: images[0].max-age: bad age "soon"`,
		signers + "    max-age: -1d\n":         `5:5: images[0].max-age: bad age "-1d"`,
		signers + "    predicates: [sbom]\n":   `5:18: images[0].predicates[0]: unknown predicate "sbom"`,
		signers + "    parents: [Base]\n":      `5:15: images[0].parents[0]: bad image name "Base"`,
		signers + "    registries: [\"https://ghcr.io\"]\n":                                                 `5:18: images[0].registries[0]: bad registry`,
		"version: 1\nimages:\n  - match: [\"[\"]\n    signers: [{key: release.pub}]\n":                      `3:13: images[0].match[0]: bad glob "["`,
		"version: 1\nimages:\n  - signers: [{key: release.pub}]\n":                                          "3:5: images[0].match: want at least one glob",
		head + "    signers: [{}]\n":                                                                        "4:15: images[0].signers[0]: want a key, or an identity and its issuer",
		head + "    signers: [{key: none.pub}]\n":                                                           "4:15: images[0].signers[0]: key: open",
		head + "    signers: [{key: broken.pub}]\n":                                                         "4:15: images[0].signers[0]: public key",
		head + "    signers: [{key: release.pub, issuer: x}]\n":                                             "4:15: images[0].signers[0]: want a key or an identity, not both",
		head + "    signers: [{identity: x}]\n":                                                             "4:15: images[0].signers[0]: want a key, or an identity and its issuer",
		head + "    signers: [{identity: x, issuer: y}]\n":                                                  "4:15: images[0].signers[0]: an identity needs a trusted-root",
		"trusted-root: none.json\n" + signers:                                                               "1:1: trusted-root: cannot be verified: trusted root: open",
		"trusted-root: broken.json\n" + signers:                                                             "1:1: trusted-root: cannot be verified: trusted root",
		"trusted-root: empty.json\n" + head + "    signers: [{identity: x, issuer: y}]\n":                   "names no certificate authority",
		"trusted-root: trusted_root.json\n" + head + "    signers: [{identity-regexp: \"(\", issuer: y}]\n": "5:15: images[0].signers[0]: cannot be verified: identity",
		"version: 1\n\timages: []\n":                                                                        "2:",
		strings.Repeat("a: {", 20) + strings.Repeat("}", 20):                                                "nested deeper than",
	} {
		_, err := read(t, dir, text)
		if err == nil {
			t.Errorf("taken:\n%s", text)
			continue
		}
		var all recipes.Errors
		if !errors.As(err, &all) {
			t.Errorf("%T, want recipes.Errors: %v", err, err)
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "policy.yaml:") {
			t.Errorf("%s\ngives %v\nwant %s", text, err, want)
		}
	}
	if _, err := policy.Open(filepath.Join(dir, "missing.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := policy.Parse("policy.yaml", make([]byte, 2<<20)); err == nil {
		t.Error("2 MB are read")
	}
}

// Of all mistakes one run tells.
func TestAllMistakes(t *testing.T) {
	_, err := read(t, folder(t), "version: 3\nimages:\n  - match: []\n    signers: []\n    max-age: never\n")
	var all recipes.Errors
	if !errors.As(err, &all) || len(all) != 4 {
		t.Errorf("%d errors: %v", len(all), err)
	}
}

func FuzzParse(f *testing.F) {
	dir := folder(f)
	f.Add([]byte(whole))
	f.Add([]byte("version: 1\nimages: [{match: [\"*\"], signers: [{key: release.pub}]}]"))
	f.Add([]byte("version: 1\nimages: &a\n- <<: *a\n"))
	f.Add([]byte("? {a: b}\n: c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse(filepath.Join(dir, "policy.yaml"), data)
		if err != nil {
			var all recipes.Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		if rule, err := p.Rule("ghcr.io/org", "minio"); err == nil && len(rule.Signers) == 0 {
			t.Error("a rule with nobody to trust")
		}
	})
}
