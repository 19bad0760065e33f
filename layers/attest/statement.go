package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/shudl/shudl-assemble/recipes"
)

// Predicate types.
const (
	PredicateSPDX      = "https://spdx.dev/Document"
	PredicateCycloneDX = "https://cyclonedx.org/bom"
	PredicateSLSA      = "https://slsa.dev/provenance/v1"
	PredicateVEX       = "https://openvex.dev/ns/v0.2.0"
)

// StatementType is the type of an in-toto statement, version 1:
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
const StatementType = "https://in-toto.io/Statement/v1"

// PayloadType is what a DSSE envelope of an in-toto statement carries:
// https://github.com/secure-systems-lab/dsse/blob/master/envelope.md.
const PayloadType = "application/vnd.in-toto+json"

// Subject is what a statement is about.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Statement is an in-toto statement.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// NewStatement says predicate of the manifest with this digest in repository.
func NewStatement(repository string, digest recipes.Digest, predicateType string, predicate []byte) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(Statement{
		Type:          StatementType,
		Subject:       []Subject{{Name: repository, Digest: map[string]string{"sha256": string(digest)}}},
		PredicateType: predicateType,
		Predicate:     predicate,
	})
	if err != nil {
		return nil, fmt.Errorf("statement %s: %w", predicateType, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// CompactStatement is NewStatement of a predicate that an encoder of JSON has
// just written, without white space: megabytes of it are not read once more to
// find that out.
func CompactStatement(repository string, digest recipes.Digest, predicateType string, predicate []byte) ([]byte, error) {
	const empty = "null}"
	head, err := NewStatement(repository, digest, predicateType, []byte("null"))
	if err != nil {
		return nil, err
	}
	statement := make([]byte, 0, len(head)+len(predicate))
	statement = append(statement, bytes.TrimSuffix(head, []byte(empty))...)
	return append(append(statement, predicate...), '}'), nil
}

// OpenEnvelope returns the statement in an envelope. It checks the form, not
// the signature.
func OpenEnvelope(envelope []byte) (*Statement, error) {
	body, err := EnvelopePayload(envelope)
	if err != nil {
		return nil, err
	}
	return parseStatement(body)
}

func parseStatement(body []byte) (*Statement, error) {
	var s Statement
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("in-toto statement: %w", err)
	}
	if len(s.Subject) == 0 || s.PredicateType == "" {
		return nil, errors.New("in-toto statement: no subject or no predicate type")
	}
	return &s, nil
}

// EnvelopePayload returns the bytes of the statement in an envelope.
func EnvelopePayload(envelope []byte) ([]byte, error) {
	var e ssldsse.Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("DSSE envelope: %w", err)
	}
	if e.PayloadType != PayloadType {
		return nil, fmt.Errorf("DSSE envelope: payload type %q, want %q", e.PayloadType, PayloadType)
	}
	body, err := e.DecodeB64Payload()
	if err != nil {
		return nil, fmt.Errorf("DSSE envelope: %w", err)
	}
	return body, nil
}

// About says whether the manifest with this digest is a subject.
func (s *Statement) About(digest recipes.Digest) bool {
	for _, subject := range s.Subject {
		if subject.Digest["sha256"] == string(digest) {
			return true
		}
	}
	return false
}

// Payload is what a signature signs: cosign's simple signing, which binds a
// manifest's digest to the repository's name at signing time.
func Payload(repository string, digest recipes.Digest) ([]byte, error) {
	return json.Marshal(payload.SimpleContainerImage{
		Critical: payload.Critical{
			Identity: payload.Identity{DockerReference: repository},
			Image:    payload.Image{DockerManifestDigest: "sha256:" + string(digest)},
			Type:     payload.CosignSignatureType,
		},
	})
}

// OpenPayload reads what a classic signature signs: the manifest's digest and
// the repository's name. It checks the form, not the signature.
func OpenPayload(content []byte) (digest recipes.Digest, repository string, err error) {
	var p payload.SimpleContainerImage
	if err := json.Unmarshal(content, &p); err != nil {
		return "", "", fmt.Errorf("signature: payload: %w", err)
	}
	hex, ok := strings.CutPrefix(p.Critical.Image.DockerManifestDigest, "sha256:")
	if p.Critical.Type != payload.CosignSignatureType || !ok {
		return "", "", fmt.Errorf("signature: payload of type %q about %q: want %q about a sha256 digest",
			p.Critical.Type, p.Critical.Image.DockerManifestDigest, payload.CosignSignatureType)
	}
	return recipes.Digest(hex), p.Critical.Identity.DockerReference, nil
}
