package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// annotationLog holds an entry of a Rekor log, version 1, beside cosign's
// classic items.
const annotationLog = "dev.sigstore.cosign/bundle"

// base64Annotation reads an annotation; nil where there is none.
func base64Annotation(annotations map[string]string, name string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(annotations[name])
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", name, err)
	}
	return data, nil
}

// classic shows a classic item to sigstore's verifier as it would a bundle.
type classic struct {
	content  verify.SignatureContent
	material verify.VerificationContent
	stamps   [][]byte
	entries  []*tlog.Entry
}

var _ verify.SignedEntity = (*classic)(nil)

func (c *classic) SignatureContent() (verify.SignatureContent, error)       { return c.content, nil }
func (c *classic) VerificationContent() (verify.VerificationContent, error) { return c.material, nil }
func (c *classic) Timestamps() ([][]byte, error)                            { return c.stamps, nil }
func (c *classic) TlogEntries() ([]*tlog.Entry, error)                      { return c.entries, nil }
func (c *classic) HasInclusionPromise() bool                                { return len(c.entries) > 0 }
func (c *classic) HasInclusionProof() bool                                  { return false }
func (c *classic) Version() (string, error)                                 { return "", nil }

// certified is a certificate with the intermediates that came along.
type certified struct {
	verify.VerificationContent
	intermediates []*x509.Certificate
}

func (c certified) Intermediates() []*x509.Certificate { return c.intermediates }

// material is the key or certificate that an item says it is signed with.
func (s *signed) material() (verify.VerificationContent, error) {
	if s.bundle != nil {
		return s.bundle.VerificationContent()
	}
	text := s.item.Annotations[attest.AnnotationCertificate]
	if text == "" {
		return &bundle.PublicKey{}, nil
	}
	certs, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(text))
	if err != nil || len(certs) == 0 {
		return nil, errors.New("the annotation of the certificate holds none")
	}
	chain, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(s.item.Annotations[attest.AnnotationChain]))
	if err != nil {
		return nil, errors.New("the annotation of the certificate's chain does not parse")
	}
	c := certified{VerificationContent: bundle.NewCertificate(certs[0])}
	for _, one := range chain {
		// A root in the chain is no reason to trust it.
		if one.IsCA && !bytes.Equal(one.RawIssuer, one.RawSubject) {
			c.intermediates = append(c.intermediates, one)
		}
	}
	return c, nil
}

// keyed shows an item as one that a key signed, whatever its annotations say.
func (s *signed) keyed() verify.SignedEntity {
	if s.bundle != nil {
		return s.bundle
	}
	return &classic{content: s.content, material: &bundle.PublicKey{}}
}

// certified shows an item as one that a certificate's key signed.
func (s *signed) certified() (verify.SignedEntity, error) {
	material, err := s.material()
	if err != nil {
		return nil, err
	}
	if material.Certificate() == nil {
		return nil, errors.New("a key signed it, not an identity")
	}
	if s.bundle != nil {
		return s.bundle, nil
	}
	c := &classic{content: s.content, material: material}
	if text := s.item.Annotations[attest.AnnotationTimestamp]; text != "" {
		var stamp struct{ SignedRFC3161Timestamp []byte }
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", attest.AnnotationTimestamp, err)
		}
		c.stamps = [][]byte{stamp.SignedRFC3161Timestamp}
	}
	if text := s.item.Annotations[annotationLog]; text != "" {
		entry, err := logEntry(text)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", annotationLog, err)
		}
		c.entries = []*tlog.Entry{entry}
	}
	return c, nil
}

// logEntry reads cosign's record of an entry in a Rekor log, version 1, whose
// promise to include it the log signed.
func logEntry(text string) (*tlog.Entry, error) {
	var record struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(record.Payload.LogID)
	if err != nil {
		return nil, fmt.Errorf("logID: %w", err)
	}
	var kind struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(record.Payload.Body, &kind); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return tlog.ParseTransparencyLogEntry(&protorekor.TransparencyLogEntry{
		LogIndex:          record.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: id},
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.Version},
		IntegratedTime:    record.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: record.SignedEntryTimestamp},
		CanonicalizedBody: record.Payload.Body,
	})
}

// stamped is trust in which timestamps are over a whole DSSE envelope, not
// over the signature in it: what cosign has stamped of a classic attestation.
type stamped struct {
	root.TrustedMaterial
	envelope []byte
}

func (s stamped) TimestampingAuthorities() []root.TimestampingAuthority {
	all := s.TrustedMaterial.TimestampingAuthorities()
	wrapped := make([]root.TimestampingAuthority, len(all))
	for i, one := range all {
		wrapped[i] = stampedAuthority{one, s.envelope}
	}
	return wrapped
}

type stampedAuthority struct {
	root.TimestampingAuthority
	envelope []byte
}

func (a stampedAuthority) Verify(stamp, _ []byte) (*root.Timestamp, error) {
	return a.TimestampingAuthority.Verify(stamp, a.envelope)
}

// seen is the earliest time at which somebody else saw a signature.
func seen(stamps []verify.TimestampVerificationResult) time.Time {
	var first time.Time
	for _, s := range stamps {
		if first.IsZero() || s.Timestamp.Before(first) {
			first = s.Timestamp
		}
	}
	return first
}
