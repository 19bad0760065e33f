package attest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/shudl/shudl-assemble/recipes"
)

// MediaTypeBundle is a sigstore bundle, version 0.3:
// https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto.
const MediaTypeBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"

// PredicateSign is the predicate type of a signature in a bundle: a statement
// that says nothing but which manifest is meant.
const PredicateSign = "https://sigstore.dev/cosign/sign/v1"

// Bundle is a sigstore bundle that holds a signed statement.
type Bundle struct {
	// Bundle is what sigstore's own verifier takes.
	*bundle.Bundle
	// Content is its JSON.
	Content []byte
	// Envelope is the DSSE envelope, as in a classic attestation.
	Envelope []byte
	// Statement is what the envelope holds. Only a Verifier says whether it
	// is to be believed.
	Statement *Statement
}

// SignStatement is the statement of a signature.
func SignStatement(repository string, digest recipes.Digest) ([]byte, error) {
	return NewStatement(repository, digest, PredicateSign, []byte("{}"))
}

// NewBundle takes a bundle that was just signed and writes its JSON.
func NewBundle(b *protobundle.Bundle) (*Bundle, error) {
	content, err := marshalBundle(b)
	if err != nil {
		return nil, err
	}
	checked, err := bundle.NewBundle(b)
	if err != nil {
		return nil, fmt.Errorf("sigstore bundle: %w", err)
	}
	return openBundle(checked, content)
}

// marshalBundle writes a bundle as JSON, the same bytes in every build of
// this program: protojson varies its white space with the binary.
func marshalBundle(b *protobundle.Bundle) ([]byte, error) {
	loose, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("sigstore bundle: %w", err)
	}
	var tight bytes.Buffer
	if err := json.Compact(&tight, loose); err != nil {
		return nil, fmt.Errorf("sigstore bundle: %w", err)
	}
	return tight.Bytes(), nil
}

// ErrNoStatement says that a bundle signs something else than a statement.
var ErrNoStatement = errors.New("the bundle holds no in-toto statement")

// ParseBundle reads a bundle of version 0.3. It checks the form, not the
// signature.
func ParseBundle(content []byte) (*Bundle, error) {
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(content); err != nil {
		return nil, fmt.Errorf("sigstore bundle: %w", err)
	}
	if !b.MinVersion("v0.3") {
		return nil, fmt.Errorf("sigstore bundle: %s: want version 0.3", b.MediaType)
	}
	return openBundle(b, content)
}

func openBundle(b *bundle.Bundle, content []byte) (*Bundle, error) {
	e := b.GetDsseEnvelope()
	if e == nil {
		return nil, ErrNoStatement
	}
	if e.PayloadType != PayloadType {
		return nil, fmt.Errorf("sigstore bundle: payload type %q, want %q", e.PayloadType, PayloadType)
	}
	statement, err := parseStatement(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("sigstore bundle: %w", err)
	}
	envelope, err := classicEnvelope(e)
	if err != nil {
		return nil, fmt.Errorf("sigstore bundle: %w", err)
	}
	return &Bundle{Bundle: b, Content: content, Envelope: envelope, Statement: statement}, nil
}

// classicEnvelope writes a bundle's envelope as a classic attestation has it.
func classicEnvelope(e *protodsse.Envelope) ([]byte, error) {
	classic := ssldsse.Envelope{
		PayloadType: e.PayloadType,
		Payload:     base64.StdEncoding.EncodeToString(e.Payload),
		Signatures:  []ssldsse.Signature{},
	}
	for _, s := range e.Signatures {
		classic.Signatures = append(classic.Signatures,
			ssldsse.Signature{KeyID: s.Keyid, Sig: base64.StdEncoding.EncodeToString(s.Sig)})
	}
	return json.Marshal(classic)
}

// Payload returns the bytes of the statement.
func (b *Bundle) Payload() []byte { return b.GetDsseEnvelope().GetPayload() }

// Bundle checks a bundle that this key signed and returns its statement. Where
// the digest is not empty, it must be a subject.
func (v *Verifier) Bundle(content []byte, digest recipes.Digest) (*Statement, error) {
	b, err := ParseBundle(content)
	if err != nil {
		return nil, err
	}
	return v.Attestation(Item{Content: b.Envelope}, digest)
}
