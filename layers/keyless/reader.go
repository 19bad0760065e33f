package keyless

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

// reader takes what one identity signed, as those who trust it do: bundles
// with sigstore's library, classic items with cosign's.
type reader struct {
	who     identity
	root    root.TrustedMaterial
	policy  verify.PolicyOption
	bundles *verify.Verifier
}

// newReader wants what the services of the signing config give: an entry of
// the log where there is one, else a signed timestamp.
func newReader(who identity, trusted root.TrustedMaterial, logged bool) (*reader, error) {
	options := []verify.VerifierOption{verify.WithoutStatementPredicate(), verify.WithSignedTimestamps(1)}
	if logged {
		options[1] = verify.WithObserverTimestamps(1)
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	bundles, err := verify.NewVerifier(trusted, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	match, err := verify.NewShortCertificateIdentity(who.issuer, "", who.name, "")
	if err != nil {
		return nil, fmt.Errorf("%w: identity %s: %w", ErrConfig, who.name, err)
	}
	return &reader{who: who, root: trusted, policy: verify.WithCertificateIdentity(match), bundles: bundles}, nil
}

// check verifies an item, and that it is about subject where that is not "".
func (r *reader) check(ctx context.Context, item attest.Item, subject recipes.Digest) error {
	if item.MediaType == attest.MediaTypeBundle {
		return r.bundle(item, subject)
	}
	return r.classic(ctx, item, subject)
}

func (r *reader) bundle(item attest.Item, subject recipes.Digest) error {
	b, err := attest.ParseBundle(item.Content)
	if err != nil {
		return err
	}
	// The subjects are compared below, as for the other forms.
	if _, err := r.bundles.Verify(b.Bundle, verify.NewPolicy(verify.WithoutArtifactUnsafe(), r.policy)); err != nil {
		return err
	}
	if subject != "" && !b.Statement.About(subject) {
		return attest.ErrSubject
	}
	return nil
}

func (r *reader) classic(ctx context.Context, item attest.Item, subject recipes.Digest) error {
	stamp, err := r.timestamp(item)
	if err != nil {
		return err
	}
	form := []static.Option{
		static.WithLayerMediaType(types.MediaType(item.MediaType)), static.WithRFC3161Timestamp(stamp),
		static.WithCertChain([]byte(item.Annotations[attest.AnnotationCertificate]), []byte(item.Annotations[attest.AnnotationChain])),
	}
	check := &cosign.CheckOpts{
		TrustedMaterial: r.root, UseSignedTimestamps: true, IgnoreTlog: true, Offline: true, IgnoreSCT: len(r.root.CTLogs()) == 0,
		Identities: []cosign.Identity{{Issuer: r.who.issuer, Subject: r.who.name}},
	}
	hash := v1.Hash{Algorithm: "sha256", Hex: string(subject)}
	if item.MediaType == attest.MediaTypeDSSE {
		attestation, err := static.NewAttestation(item.Content, form...)
		if err != nil {
			return err
		}
		if subject != "" {
			check.ClaimVerifier = cosign.IntotoSubjectClaimVerifier
		}
		_, err = cosign.VerifyBlobAttestation(ctx, attestation, hash, check)
		return err
	}
	signature, err := static.NewSignature(item.Content, item.Annotations[attest.AnnotationSignature], form...)
	if err != nil {
		return err
	}
	if subject != "" {
		check.ClaimVerifier = cosign.SimpleClaimVerifier
	}
	_, err = cosign.VerifyImageSignature(ctx, signature, hash, check)
	return err
}

// timestamp reads and checks when a classic item was seen: its signature, or
// the whole of an envelope. cosign's library ends in a panic where no trusted
// authority says so, and must not see such an item.
func (r *reader) timestamp(item attest.Item) (*bundle.RFC3161Timestamp, error) {
	var stamp bundle.RFC3161Timestamp
	if err := json.Unmarshal([]byte(item.Annotations[attest.AnnotationTimestamp]), &stamp); err != nil {
		return nil, fmt.Errorf("timestamp: %w", err)
	}
	seen := item.Content
	if item.MediaType != attest.MediaTypeDSSE {
		var err error
		if seen, err = base64.StdEncoding.DecodeString(item.Annotations[attest.AnnotationSignature]); err != nil {
			return nil, fmt.Errorf("signature: %w", err)
		}
	}
	err := errors.New("no trusted authority")
	for _, authority := range r.root.TimestampingAuthorities() {
		if _, err = authority.Verify(stamp.SignedRFC3161Timestamp, seen); err == nil {
			return &stamp, nil
		}
	}
	return nil, fmt.Errorf("timestamp: %w", err)
}
