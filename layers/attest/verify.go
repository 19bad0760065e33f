package attest

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/shudl/shudl-assemble/recipes"
)

// Verifier holds signatures against one public key, with cosign's library.
type Verifier struct {
	public   crypto.PublicKey
	verifier signature.Verifier
	id       string
}

// NewVerifier takes the public key that signatures must be of.
func NewVerifier(public crypto.PublicKey) (*Verifier, error) {
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	id, err := KeyID(public)
	if err != nil {
		return nil, err
	}
	return &Verifier{public: public, verifier: verifier, id: id}, nil
}

// ID is the short id of the key.
func (v *Verifier) ID() string { return v.id }

// Errors of verification. ErrSignature is a signature of another key or of
// other bytes; ErrSubject a good signature that speaks of another manifest.
var (
	ErrSignature = errors.New("the signature is not by this key")
	ErrSubject   = errors.New("the signature speaks of another image")
)

// Signature checks one item of a .sig manifest against a manifest's digest
// and returns the repository's name that was signed.
func (v *Verifier) Signature(ctx context.Context, item Item, digest recipes.Digest) (repository string, err error) {
	hash := v1.Hash{Algorithm: "sha256", Hex: string(digest)}
	sig, err := static.NewSignature(item.Content, item.Annotations[AnnotationSignature],
		static.WithLayerMediaType(types.MediaType(item.MediaType)))
	if err != nil {
		return "", fmt.Errorf("signature: %w", err)
	}
	if err := v.raw(item); err != nil {
		return "", err
	}
	if _, err := cosign.VerifyImageSignature(ctx, sig, hash, &cosign.CheckOpts{
		SigVerifier:   v.verifier,
		ClaimVerifier: cosign.SimpleClaimVerifier,
		IgnoreTlog:    true,
		Offline:       true,
	}); err != nil {
		return "", fmt.Errorf("%w: %w", ErrSubject, err)
	}
	var p payload.SimpleContainerImage
	if err := json.Unmarshal(item.Content, &p); err != nil {
		return "", fmt.Errorf("signature: payload: %w", err)
	}
	if p.Critical.Type != payload.CosignSignatureType ||
		p.Critical.Image.DockerManifestDigest != "sha256:"+string(digest) {
		return "", ErrSubject
	}
	return p.Critical.Identity.DockerReference, nil
}

// raw checks only that the bytes are signed by the key.
func (v *Verifier) raw(item Item) error {
	sig, err := base64.StdEncoding.DecodeString(item.Annotations[AnnotationSignature])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if err := v.verifier.VerifySignature(bytes.NewReader(sig), bytes.NewReader(item.Content)); err != nil {
		return fmt.Errorf("%w (%s)", ErrSignature, v.id)
	}
	return nil
}

// Attestation checks one DSSE envelope and returns its statement. Where
// digest is not empty, it must be a subject.
func (v *Verifier) Attestation(item Item, digest recipes.Digest) (*Statement, error) {
	wrapped := dsse.WrapVerifier(v.verifier)
	if err := wrapped.VerifySignature(bytes.NewReader(item.Content), nil); err != nil {
		return nil, fmt.Errorf("%w (%s)", ErrSignature, v.id)
	}
	s, err := OpenEnvelope(item.Content)
	if err != nil {
		return nil, err
	}
	if s.Type != StatementType && s.Type != "https://in-toto.io/Statement/v0.1" {
		return nil, fmt.Errorf("in-toto statement: type %q", s.Type)
	}
	if want, ok := item.Annotations[AnnotationPredicate]; ok && want != s.PredicateType {
		return nil, fmt.Errorf("%w: annotated as %s, states %s", ErrSubject, want, s.PredicateType)
	}
	if digest != "" && !s.About(digest) {
		return nil, ErrSubject
	}
	return s, nil
}

// Signed says whether the key signed an item, whatever it is about.
func (v *Verifier) Signed(item Item) bool {
	switch item.MediaType {
	case MediaTypeBundle:
		_, err := v.Bundle(item.Content, "")
		return err == nil
	case MediaTypeDSSE:
		_, err := v.Attestation(item, "")
		return err == nil
	}
	return v.raw(item) == nil
}
