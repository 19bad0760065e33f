package trust_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/trust/trusttest"
	"github.com/shudl/shudl-assemble/recipes"
)

const (
	who    = "release@example.org"
	issuer = "https://issuer.example.org"
)

// must is for what cannot fail but by a mistake in the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const repository = "registry.example.org/shudl/minio"

// items are the three forms, signed by a key or an identity.
func items(t *testing.T, signer attest.Signer, digest recipes.Digest) map[string]trust.Item {
	t.Helper()
	signature := must(signer.Signature(context.Background(), must(attest.Payload(repository, digest))))
	statement := must(attest.NewStatement(repository, digest, attest.PredicateSPDX, []byte(`{"spdxVersion":"SPDX-2.3"}`)))
	bundle := must(signer.Bundle(context.Background(), statement))
	attestation := must(signer.Attestation(context.Background(), bundle))
	return map[string]trust.Item{
		"signature":   {Form: trust.ClassicSignature, Content: signature.Content, Annotations: signature.Annotations},
		"attestation": {Form: trust.ClassicAttestation, Content: attestation.Content, Annotations: attestation.Annotations},
		"bundle":      {Form: trust.Bundle, Content: bundle.Content},
	}
}

// authorities replaces those who issue certificates.
type authorities struct {
	root.TrustedMaterial
	fulcio []root.CertificateAuthority
}

func (a authorities) FulcioCertificateAuthorities() []root.CertificateAuthority { return a.fulcio }

// expired is a certificate whose ten minutes were an hour ago, its private
// key, and trust in its issuer.
func expired(t *testing.T, a trusttest.Authority) (*x509.Certificate, crypto.Signer, root.TrustedMaterial) {
	t.Helper()
	rootCert, rootKey, err := ca.GenerateRootCa()
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := a.GenerateLeafCert(who, issuer)
	if err != nil {
		t.Fatal(err)
	}
	cert := must(ca.GenerateLeafCert(who, issuer, time.Now().Add(-time.Hour), private, rootCert, rootKey))
	return cert, private.(crypto.Signer), authorities{a, []root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: rootCert}}}
}

func sign(private crypto.Signer, message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	return private.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// only hides parts of what is trusted.
type only struct {
	root.TrustedMaterial
	log, sct, stamp bool
}

func (o only) RekorLogs() map[string]*root.TransparencyLog {
	if !o.log {
		return nil
	}
	return o.TrustedMaterial.RekorLogs()
}

func (o only) CTLogs() map[string]*root.TransparencyLog {
	if !o.sct {
		return nil
	}
	return o.TrustedMaterial.CTLogs()
}

func (o only) TimestampingAuthorities() []root.TimestampingAuthority {
	if !o.stamp {
		return nil
	}
	return o.TrustedMaterial.TimestampingAuthorities()
}
