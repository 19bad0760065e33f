package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
)

// fixedKey is the same in every run, for golden digests. It signs nothing
// else.
func fixedKey(t *testing.T) *attest.Key {
	t.Helper()
	one := make([]byte, 32)
	one[31] = 1
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), one)
	if err != nil {
		t.Fatal(err)
	}
	key, err := attest.NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sigstoreSigner lets the sigstore libraries sign with a key.
type sigstoreSigner struct {
	ctx context.Context
	key *attest.Key
}

func (s sigstoreSigner) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return s.key.Public(), nil
}

func (s sigstoreSigner) SignMessage(message io.Reader, _ ...signature.SignOption) ([]byte, error) {
	b, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	return s.key.Sign(s.ctx, b)
}

// envelope signs a statement as sigstore's own signer does.
func envelope(t *testing.T, key *attest.Key, statement []byte) []byte {
	t.Helper()
	wrapped := dsse.WrapSigner(sigstoreSigner{t.Context(), key}, attest.PayloadType)
	e, err := wrapped.SignMessage(bytes.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func keyBundle(t *testing.T, key *attest.Key, statement []byte) *attest.Bundle {
	t.Helper()
	b, err := key.Bundle(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signBundle(t *testing.T, key *attest.Key) []byte {
	t.Helper()
	statement, err := attest.SignStatement("ghcr.io/org/repo/postgresql", subject)
	if err != nil {
		t.Fatal(err)
	}
	return keyBundle(t, key, statement).Content
}

func subjectDescriptor() ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest("sha256:" + string(subject)), Size: 1234,
		Annotations: map[string]string{"a": "b"},
	}
}

// The same key and image have the same bundle and the same referrer in every
// build of the program.
func TestBundleGolden(t *testing.T) {
	b := signBundle(t, fixedKey(t))
	m, err := attest.Referrer(subjectDescriptor(), attest.PredicateSign, b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := digest.FromBytes(b), digest.Digest("sha256:7b1c122c3710dfa8a4b495cb66a24fc1476f26dbc319dcf5bf7f61222e109de7"); got != want {
		t.Errorf("bundle %s, want %s:\n%s", got, want, b)
	}
	if got, want := digest.FromBytes(m.Raw), digest.Digest("sha256:23346ecb24a81ac8a079f5f39531e144b5f1b428210b0df8634679cdcf3803a8"); got != want {
		t.Errorf("referrer %s, want %s:\n%s", got, want, m.Raw)
	}
}

// What cosign's own library makes of the same envelope is the same bundle,
// but for white space.
func TestBundleIsCosigns(t *testing.T) {
	key := attesttest.NewKey(t)
	statement, err := attest.NewStatement("minio", subject, attest.PredicateSPDX, []byte(`{"a":"<&>"}`))
	if err != nil {
		t.Fatal(err)
	}
	public, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	e := envelope(t, key, statement)
	cosigns, err := bundle.MakeNewBundle(key.Public(), nil, statement, e, public, nil)
	if err != nil {
		t.Fatal(err)
	}
	ours := keyBundle(t, key, statement).Content
	if string(ours) != strings.ReplaceAll(string(cosigns), " ", "") {
		t.Errorf("ours\n%s\ncosign's\n%s", ours, cosigns)
	}
	parsed, err := attest.ParseBundle(ours)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(parsed.Envelope, e) {
		t.Errorf("envelope\n%s\nwant\n%s", parsed.Envelope, e)
	}
	if parsed.Statement.PredicateType != attest.PredicateSPDX || string(parsed.Statement.Predicate) != `{"a":"<&>"}` {
		t.Errorf("statement: %+v", parsed.Statement)
	}
}

// TestBundleIsWhatTheLibrariesWrite holds bundle and envelope, whose payload is
// put in place, to what the general way makes of the same signature.
func TestBundleIsWhatTheLibrariesWrite(t *testing.T) {
	key := attesttest.NewKey(t)
	for _, predicate := range []string{"{}", `{"a":"<&> \u2028 \"quoted\" ü"}`, `{"b":"` + strings.Repeat("x", 1<<20) + `"}`} {
		for _, pad := range []string{"", "1", "12"} {
			statement, err := attest.NewStatement("ghcr.io/org/"+pad, subject, attest.PredicateSPDX, []byte(predicate))
			if err != nil {
				t.Fatal(err)
			}
			b, err := key.Bundle(t.Context(), statement)
			if err != nil {
				t.Fatal(err)
			}
			general, err := attest.NewBundle(b.Bundle.Bundle)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Content, general.Content) || !bytes.Equal(b.Envelope, general.Envelope) {
				t.Errorf("%.40s: other bytes than protojson writes", predicate)
			}
			if !bytes.Equal(b.Envelope, envelope(t, key, statement)) {
				t.Errorf("%.40s: another envelope than that of sigstore's signer", predicate)
			}
			if b.Statement.PredicateType != attest.PredicateSPDX || !b.Statement.About(subject) {
				t.Errorf("%.40s: statement %+v", predicate, b.Statement)
			}
		}
	}
}

func TestVerifierOfBundles(t *testing.T) {
	key := attesttest.NewKey(t)
	mine, others := verifier(t, key), verifier(t, attesttest.NewKey(t))
	b := signBundle(t, key)
	if s, err := mine.Bundle(b, subject); err != nil || s.PredicateType != attest.PredicateSign {
		t.Errorf("own bundle: %+v, %v", s, err)
	}
	if _, err := mine.Bundle(b, other); !errors.Is(err, attest.ErrSubject) {
		t.Errorf("bundle of another image: %v", err)
	}
	if _, err := others.Bundle(b, subject); !errors.Is(err, attest.ErrSignature) {
		t.Errorf("bundle of another key: %v", err)
	}
	if _, err := mine.Bundle(bytes.Replace(b, []byte(`"payload":"`), []byte(`"payload":"e30g`), 1), subject); err == nil {
		t.Error("a changed payload is taken")
	}
	for name, broken := range map[string]string{
		"older":     strings.Replace(string(b), "v0.3", "v0.2", 1),
		"newer":     strings.Replace(string(b), "v0.3", "v0.4", 1),
		"no JSON":   string(b[:len(b)-1]),
		"signature": `{"mediaType":"` + attest.MediaTypeBundle + `","verificationMaterial":{"publicKey":{}},"messageSignature":{"signature":"AA=="}}`,
	} {
		if _, err := attest.ParseBundle([]byte(broken)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestReadReferrer(t *testing.T) {
	b := signBundle(t, attesttest.NewKey(t))
	d := subjectDescriptor()
	m, err := attest.Referrer(d, attest.PredicateSign, b)
	if err != nil {
		t.Fatal(err)
	}
	item, err := attest.ReadReferrer(m.Raw, d.Digest)
	if err != nil || item.Digest != digest.FromBytes(b) || item.Size != int64(len(b)) {
		t.Errorf("item %+v, %v", item, err)
	}
	for name, raw := range map[string]string{
		"another subject": strings.Replace(string(m.Raw), string(subject), string(other), 1),
		"no bundle":       strings.ReplaceAll(string(m.Raw), "dev.sigstore.bundle", "example"),
		"no subject":      `{"layers":[{"mediaType":"` + attest.MediaTypeBundle + `"}]}`,
		"no JSON":         `{`,
		"bad digest":      strings.Replace(string(m.Raw), digest.FromBytes(b).String(), "sha256:../../x", 1),
	} {
		if _, err := attest.ReadReferrer([]byte(raw), d.Digest); !errors.Is(err, attest.ErrNoBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
