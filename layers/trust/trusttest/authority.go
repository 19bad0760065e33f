// Package trusttest signs as sigstore's services would, in the test's own
// process: certificates of an authority made for the test, entries in a log,
// signed timestamps. There is no certificate transparency log, so that whoever
// verifies must ignore that.
package trusttest

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// AnnotationLog holds an entry of a Rekor log, version 1, beside cosign's
// keyless classic items.
const AnnotationLog = "dev.sigstore.cosign/bundle"

// Authority is sigstore's services; it is also what its signatures are
// verified against.
type Authority struct{ *ca.VirtualSigstore }

// New makes an authority with keys of its own.
func New() (Authority, error) {
	vs, err := ca.NewVirtualSigstore()
	return Authority{vs}, err
}

// TrustedRoot is what the authority is verified against, as a file has it.
func (a Authority) TrustedRoot() ([]byte, error) {
	raw := func(logs map[string]*root.TransparencyLog) (map[string]*root.TransparencyLog, error) {
		logs = maps.Clone(logs)
		for id, log := range logs {
			key, err := hex.DecodeString(id)
			if err != nil {
				return nil, err
			}
			log.ID = key
		}
		return logs, nil
	}
	logs, err := raw(a.RekorLogs())
	if err != nil {
		return nil, err
	}
	ctLogs, err := raw(a.CTLogs())
	if err != nil {
		return nil, err
	}
	for _, log := range ctLogs {
		log.SignatureHashFunc = log.HashFunc
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, a.FulcioCertificateAuthorities(), ctLogs, a.TimestampingAuthorities(), logs)
	if err != nil {
		return nil, err
	}
	return trusted.MarshalJSON()
}

// Signer is somebody for whom the authority vouches.
type Signer struct {
	Authority        Authority
	Identity, Issuer string // of an e-mail address, and a URL
}

var _ attest.Signer = Signer{}

// ID is the identity.
func (s Signer) ID() string { return s.Identity }

// Repeats is false: every signature has a key of its own.
func (s Signer) Repeats() bool { return false }

// Signed is false: nothing is recognised again.
func (s Signer) Signed(attest.Item) bool { return false }

// Bundle signs a statement into a bundle with an entry of a Rekor log, version
// 2, and a timestamp.
func (s Signer) Bundle(_ context.Context, statement []byte) (*attest.Bundle, error) {
	entity, err := s.Authority.AttestHashedRekordV2(s.Identity, s.Issuer, statement)
	if err != nil {
		return nil, err
	}
	p, err := s.proofs(entity)
	if err != nil {
		return nil, err
	}
	content, err := entity.SignatureContent()
	if err != nil {
		return nil, err
	}
	e := content.EnvelopeContent().RawEnvelope()
	payload, err := e.DecodeB64Payload()
	if err != nil {
		return nil, err
	}
	return attest.NewBundle(&protobundle.Bundle{
		MediaType: attest.MediaTypeBundle,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: p.Certificate.Raw}},
			TlogEntries: []*protorekor.TransparencyLogEntry{p.Entry.TransparencyLogEntry()},
			TimestampVerificationData: &protobundle.TimestampVerificationData{
				Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: p.Timestamp}},
			},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			PayloadType: e.PayloadType, Payload: payload,
			Signatures: []*protodsse.Signature{{Sig: content.Signature()}},
		}},
	})
}

// Attestation writes a bundle as cosign writes a keyless attestation, with an
// entry of a Rekor log, version 1, and a timestamp of the whole envelope.
func (s Signer) Attestation(_ context.Context, b *attest.Bundle) (attest.Item, error) {
	content, err := b.VerificationContent()
	if err != nil {
		return attest.Item{}, err
	}
	p := Proofs{Certificate: content.Certificate()}
	if p.Timestamp, err = s.Authority.TimestampResponse(b.Envelope); err != nil {
		return attest.Item{}, err
	}
	var e ssldsse.Envelope
	if err := json.Unmarshal(b.Envelope, &e); err != nil {
		return attest.Item{}, err
	}
	signature, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil {
		return attest.Item{}, err
	}
	if p.Entry, err = s.Authority.GenerateTlogEntry(p.Certificate, &e, signature, p.Certificate.NotBefore.Unix()+60, false); err != nil {
		return attest.Item{}, err
	}
	return s.annotated(attest.AttestationItem(b.Statement.PredicateType, b.Envelope), p)
}

// Signature signs a payload as `cosign sign` does without a key.
func (s Signer) Signature(_ context.Context, payload []byte) (attest.Item, error) {
	entity, err := s.Authority.Sign(s.Identity, s.Issuer, payload)
	if err != nil {
		return attest.Item{}, err
	}
	p, err := s.proofs(entity)
	if err != nil {
		return attest.Item{}, err
	}
	content, err := entity.SignatureContent()
	if err != nil {
		return attest.Item{}, err
	}
	return s.annotated(attest.SignatureItem(payload, content.Signature()), p)
}

// Proofs is what a keyless signature brings along.
type Proofs struct {
	Certificate *x509.Certificate
	Timestamp   []byte      // RFC 3161, nil for none
	Entry       *tlog.Entry // nil for none
}

func (s Signer) proofs(entity *ca.TestEntity) (Proofs, error) {
	material, err := entity.VerificationContent()
	if err != nil {
		return Proofs{}, err
	}
	stamps, err := entity.Timestamps()
	if err != nil {
		return Proofs{}, err
	}
	entries, err := entity.TlogEntries()
	if err != nil {
		return Proofs{}, err
	}
	return Proofs{material.Certificate(), stamps[0], entries[0]}, nil
}

func (s Signer) annotated(item attest.Item, p Proofs) (attest.Item, error) {
	all, err := s.Authority.Annotations(p)
	if err != nil {
		return attest.Item{}, err
	}
	maps.Copy(item.Annotations, all)
	return item, nil
}

// Annotations writes proofs as cosign does beside a classic item.
func (a Authority) Annotations(p Proofs) (map[string]string, error) {
	cert, err := cryptoutils.MarshalCertificateToPEM(p.Certificate)
	if err != nil {
		return nil, err
	}
	all := map[string]string{attest.AnnotationCertificate: string(cert)}
	if p.Timestamp != nil {
		stamp, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": p.Timestamp})
		if err != nil {
			return nil, err
		}
		all[attest.AnnotationTimestamp] = string(stamp)
	}
	if p.Entry != nil {
		entry := p.Entry.TransparencyLogEntry()
		promise, err := a.RekorSignPayload(Payload(entry))
		if err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
		if all[AnnotationLog], err = LogRecord(entry, promise); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Payload is what a log signs as its promise to include an entry.
func Payload(e *protorekor.TransparencyLogEntry) tlog.RekorPayload {
	return tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(e.CanonicalizedBody), IntegratedTime: e.IntegratedTime,
		LogIndex: e.LogIndex, LogID: hex.EncodeToString(e.LogId.KeyId),
	}
}

// LogRecord writes an entry and the log's promise as cosign does.
func LogRecord(e *protorekor.TransparencyLogEntry, promise []byte) (string, error) {
	record, err := json.Marshal(map[string]any{"SignedEntryTimestamp": promise, "Payload": Payload(e)})
	return string(record), err
}
