package attest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/cosign/v2/pkg/types"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/recipes"
)

const (
	subject = recipes.Digest("f00dfeed00000000000000000000000000000000000000000000000000000001")
	other   = recipes.Digest("f00dfeed00000000000000000000000000000000000000000000000000000002")
)

func verifier(t *testing.T, key *attest.Key) *attest.Verifier {
	t.Helper()
	v, err := attest.NewVerifier(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func signatureItem(t *testing.T, key *attest.Key, digest recipes.Digest) attest.Item {
	t.Helper()
	payload, err := attest.Payload("ghcr.io/org/repo/postgresql", digest)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return attest.SignatureItem(payload, signature)
}

func attestationItem(t *testing.T, key *attest.Key, digest recipes.Digest, predicate string) attest.Item {
	t.Helper()
	statement, err := attest.NewStatement("ghcr.io/org/repo/postgresql", digest, attest.PredicateSPDX, []byte(predicate))
	if err != nil {
		t.Fatal(err)
	}
	return attest.AttestationItem(attest.PredicateSPDX, envelope(t, key, statement))
}

func TestForms(t *testing.T) {
	payload, err := attest.Payload("ghcr.io/org/repo/postgresql", subject)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"critical":{"identity":{"docker-reference":"ghcr.io/org/repo/postgresql"},"image":{"docker-manifest-digest":"sha256:` +
		string(subject) + `"},"type":"cosign container image signature"},"optional":null}`; string(payload) != want {
		t.Errorf("payload\n%s\nwant\n%s", payload, want)
	}
	statement, err := attest.NewStatement("minio", subject, attest.PredicateSPDX, []byte(`{ "a": "<&>" }`))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"minio","digest":{"sha256":"` + string(subject) +
		`"}}],"predicateType":"https://spdx.dev/Document","predicate":{"a":"<&>"}}`; string(statement) != want {
		t.Errorf("statement\n%s\nwant\n%s", statement, want)
	}
	if _, err := attest.NewStatement("minio", subject, attest.PredicateSPDX, []byte("{")); err == nil {
		t.Error("a predicate that is not JSON is taken")
	}
}

func TestSameBytesTwice(t *testing.T) {
	key := attesttest.NewKey(t)
	for _, make := range []func() attest.Item{
		func() attest.Item { return signatureItem(t, key, subject) },
		func() attest.Item { return attestationItem(t, key, subject, `{"spdxVersion":"SPDX-2.3"}`) },
	} {
		a, err := attest.Assemble([]attest.Item{make()})
		if err != nil {
			t.Fatal(err)
		}
		b, err := attest.Assemble([]attest.Item{make()})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Raw, b.Raw) || !bytes.Equal(a.Config.Content, b.Config.Content) {
			t.Errorf("differ:\n%s\n%s", a.Raw, b.Raw)
		}
	}
}

// What cosign's own library assembles from the same payload and signature is
// the same manifest.
func TestManifestIsCosigns(t *testing.T) {
	item := signatureItem(t, attesttest.NewKey(t), subject)
	sig, err := static.NewSignature(item.Content, item.Annotations[attest.AnnotationSignature])
	if err != nil {
		t.Fatal(err)
	}
	envelope := attestationItem(t, attesttest.NewKey(t), subject, `{}`)
	att, err := static.NewAttestation(envelope.Content, static.WithLayerMediaType(types.DssePayloadType),
		static.WithAnnotations(map[string]string{"predicateType": attest.PredicateSPDX}))
	if err != nil {
		t.Fatal(err)
	}
	want, err := mutate.AppendSignatures(empty.Signatures(), false, sig, att)
	if err != nil {
		t.Fatal(err)
	}
	wantRaw, err := want.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := attest.Assemble([]attest.Item{item, envelope})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Raw, wantRaw) {
		t.Errorf("manifest\n%s\ncosign's\n%s", got.Raw, wantRaw)
	}
}

func TestVerifier(t *testing.T) {
	key := attesttest.NewKey(t)
	mine, others := verifier(t, key), verifier(t, attesttest.NewKey(t))
	sig := signatureItem(t, key, subject)
	if name, err := mine.Signature(t.Context(), sig, subject); err != nil || name != "ghcr.io/org/repo/postgresql" {
		t.Errorf("own signature: %q, %v", name, err)
	}
	if _, err := mine.Signature(t.Context(), sig, other); !errors.Is(err, attest.ErrSubject) {
		t.Errorf("signature of another image: %v", err)
	}
	if _, err := others.Signature(t.Context(), sig, subject); !errors.Is(err, attest.ErrSignature) {
		t.Errorf("signature of another key: %v", err)
	}
	changed := sig
	changed.Content = bytes.Replace(sig.Content, []byte("postgresql"), []byte("minio00000"), 1)
	if _, err := mine.Signature(t.Context(), changed, subject); !errors.Is(err, attest.ErrSignature) {
		t.Errorf("changed payload: %v", err)
	}

	att := attestationItem(t, key, subject, `{"a":1}`)
	if s, err := mine.Attestation(att, subject); err != nil || string(s.Predicate) != `{"a":1}` {
		t.Errorf("own attestation: %v, %v", s, err)
	}
	if _, err := mine.Attestation(att, other); !errors.Is(err, attest.ErrSubject) {
		t.Errorf("attestation of another image: %v", err)
	}
	if _, err := others.Attestation(att, subject); !errors.Is(err, attest.ErrSignature) {
		t.Errorf("attestation of another key: %v", err)
	}
	swapped := att
	swapped.Content = bytes.Replace(att.Content, []byte(`"payload":"`), []byte(`"payload":"e30=`), 1)
	if _, err := mine.Attestation(swapped, subject); err == nil {
		t.Error("a changed envelope is taken")
	}
	renamed := att
	renamed.Annotations = map[string]string{attest.AnnotationPredicate: attest.PredicateSLSA}
	if _, err := mine.Attestation(renamed, subject); !errors.Is(err, attest.ErrSubject) {
		t.Errorf("annotated as something else: %v", err)
	}
}

func TestMerge(t *testing.T) {
	one, two := attesttest.NewKey(t), attesttest.NewKey(t)
	old, foreign := attestationItem(t, one, subject, `{"v":1}`), attestationItem(t, two, subject, `{"v":1}`)
	replaced := attestationItem(t, one, subject, `{"v":2}`)
	mine := verifier(t, one)
	replaces := func(old, _ attest.Item) (bool, error) { return mine.Signed(old), nil }

	merged, err := attest.Merge([]attest.Item{foreign, old}, []attest.Item{replaced}, replaces)
	if err != nil {
		t.Fatal(err)
	}
	if len(merged) != 2 || merged[0].Digest != foreign.Digest || merged[1].Digest != replaced.Digest {
		t.Errorf("merged %v", merged)
	}
	again, err := attest.Merge(merged, []attest.Item{replaced}, replaces)
	if err != nil || len(again) != 2 {
		t.Errorf("again: %d items, %v", len(again), err)
	}
	fresh, err := attest.Merge([]attest.Item{foreign}, []attest.Item{replaced}, replaces)
	if err != nil || len(fresh) != 2 {
		t.Errorf("beside another's: %d items, %v", len(fresh), err)
	}
}

// Several statements of one predicate type, as of VEX, stay beside each other;
// one that is no longer made goes.
func TestMergeOfOneType(t *testing.T) {
	key := attesttest.NewKey(t)
	mine := verifier(t, key)
	replaces := func(old, _ attest.Item) (bool, error) { return mine.Signed(old), nil }
	v := make([]attest.Item, 5)
	for i := range v {
		v[i] = attestationItem(t, key, subject, fmt.Sprintf(`{"v":%d}`, i))
	}
	foreign := attestationItem(t, attesttest.NewKey(t), subject, `{}`)
	for _, test := range []struct {
		existing, ours, want []attest.Item
	}{
		{nil, []attest.Item{v[0], v[1]}, []attest.Item{v[0], v[1]}},
		{[]attest.Item{v[0], v[1]}, []attest.Item{v[0], v[1]}, []attest.Item{v[0], v[1]}},
		{[]attest.Item{v[0], v[1]}, []attest.Item{v[1], v[0]}, []attest.Item{v[0], v[1]}},
		{[]attest.Item{v[0], foreign, v[1]}, []attest.Item{v[1], v[2]}, []attest.Item{v[2], foreign, v[1]}},
		{[]attest.Item{v[0], foreign, v[1]}, []attest.Item{v[2], v[3], v[4]}, []attest.Item{v[2], foreign, v[3], v[4]}},
		{[]attest.Item{v[0], foreign, v[1]}, []attest.Item{v[1]}, []attest.Item{foreign, v[1]}},
	} {
		merged, err := attest.Merge(test.existing, test.ours, replaces)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(merged, test.want, func(a, b attest.Item) bool { return a.Digest == b.Digest }) {
			t.Errorf("merged %v, want %v", merged, test.want)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	private, public, err := attest.GenerateKey([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	path, pub := filepath.Join(dir, "k.key"), filepath.Join(dir, "k.pub")
	for file, data := range map[string][]byte{path: private, pub: public} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, err := attest.LoadKey(path, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := attest.LoadPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := attest.KeyID(loaded); err != nil || id != key.ID() || len(id) != 16 {
		t.Errorf("ids %s, %s, %v", id, key.ID(), err)
	}
	for _, password := range []string{"", "wrong"} {
		if _, err := attest.LoadKey(path, []byte(password)); !errors.Is(err, attest.ErrPassword) || !strings.Contains(err.Error(), path) {
			t.Errorf("password %q: %v", password, err)
		}
	}
	sv, err := cosign.LoadPrivateKey(private, []byte("secret"), nil)
	if err != nil {
		t.Fatalf("cosign does not load the key: %v", err)
	}
	message := []byte("hello")
	signature, err := sv.SignMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	item := attest.Item{Content: message}
	item.MediaType = attest.MediaTypeSimpleSigning
	item.Annotations = map[string]string{attest.AnnotationSignature: base64.StdEncoding.EncodeToString(signature)}
	if !verifier(t, key).Signed(item) {
		t.Error("what cosign signs with the key does not verify")
	}
}

func TestKeyInTheEnvironment(t *testing.T) {
	private, public, err := attest.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHUDL_TEST_PRIVATE", string(private))
	t.Setenv("SHUDL_TEST_PUBLIC", string(public))
	key, err := attest.LoadKey("env://SHUDL_TEST_PRIVATE", nil)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := attest.LoadPublicKey("env://SHUDL_TEST_PUBLIC")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := attest.KeyID(loaded); err != nil || id != key.ID() {
		t.Errorf("ids %s, %s, %v", id, key.ID(), err)
	}
	if _, err := attest.LoadKey("env://SHUDL_TEST_NOT_SET", nil); err == nil || strings.Contains(err.Error(), "PRIVATE KEY") {
		t.Errorf("not set: %v", err)
	}
}

func TestOtherKeysAreRefused(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypted.Encrypt([]byte("not a key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":       nil,
		"not sealed":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"not a key":   pem.EncodeToMemory(&pem.Block{Type: cosign.SigstorePrivateKeyPemType, Bytes: sealed}),
		"not a block": []byte("-----BEGIN"),
	} {
		if key, err := attest.ParseKey(data, nil); err == nil {
			t.Errorf("%s: taken as %s", name, key.ID())
		}
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := attest.OpenEnvelope(data); err == nil && (len(s.Subject) == 0 || s.PredicateType == "") {
			t.Error("a statement about nothing")
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"layers":[{"digest":"sha256:00"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := attest.Read(data)
		for _, item := range items {
			if err == nil && item.Digest.Validate() != nil {
				t.Errorf("digest %q", item.Digest)
			}
		}
	})
}
