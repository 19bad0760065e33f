package attest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"

	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
)

// bundle signs a statement and writes envelope and bundle, the bytes that
// sigstore's signer and NewBundle write. These parse and check all that they
// are given, and an SBOM has megabytes and went through an encoder of JSON a moment ago:
// here it is encoded as base64 once, and put where a short payload stood.
func (k *Key) bundle(ctx context.Context, statement []byte) (*Bundle, error) {
	head, err := statementHead(statement)
	if err != nil {
		return nil, err
	}
	sig, err := k.Sign(ctx, ssldsse.PAE(PayloadType, statement))
	if err != nil {
		return nil, fmt.Errorf("sign a statement: %w", err)
	}
	// No other part of an envelope or bundle is this.
	mark := sha256.Sum256(sig)
	payload := make([]byte, base64.StdEncoding.EncodedLen(len(statement)))
	base64.StdEncoding.Encode(payload, statement)

	short, err := k.protoBundle(mark[:], sig)
	if err != nil {
		return nil, err
	}
	content, err := marshalBundle(short)
	if err != nil {
		return nil, err
	}
	envelope, err := json.Marshal(ssldsse.Envelope{
		PayloadType: PayloadType, Payload: base64.StdEncoding.EncodeToString(mark[:]),
		Signatures: []ssldsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sig)}},
	})
	if err != nil {
		return nil, fmt.Errorf("DSSE envelope: %w", err)
	}
	if content, err = withPayload(content, mark[:], payload); err != nil {
		return nil, err
	}
	if envelope, err = withPayload(envelope, mark[:], payload); err != nil {
		return nil, err
	}
	full, err := k.protoBundle(statement, sig)
	if err != nil {
		return nil, err
	}
	checked, err := bundle.NewBundle(full)
	if err != nil {
		return nil, fmt.Errorf("sigstore bundle: %w", err)
	}
	return &Bundle{Bundle: checked, Content: content, Envelope: envelope, Statement: head}, nil
}

// withPayload puts the base64 of a payload where that of mark stands.
func withPayload(text, mark, payload []byte) ([]byte, error) {
	quoted := []byte(`"` + base64.StdEncoding.EncodeToString(mark) + `"`)
	before, after, ok := bytes.Cut(text, quoted)
	if !ok || bytes.Contains(after, quoted) {
		return nil, fmt.Errorf("sigstore bundle: its payload is not where it was put")
	}
	whole := make([]byte, 0, len(before)+len(payload)+len(after)+2)
	whole = append(append(whole, before...), '"')
	whole = append(append(whole, payload...), '"')
	return append(whole, after...), nil
}

// protoBundle is a bundle whose signature is of the key.
func (k *Key) protoBundle(payload, sig []byte) (*protobundle.Bundle, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return &protobundle.Bundle{
		MediaType: MediaTypeBundle,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{
				// cosign's hint.
				PublicKey: &protocommon.PublicKeyIdentifier{Hint: base64.StdEncoding.EncodeToString(sum[:])},
			},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: PayloadType, Signatures: []*protodsse.Signature{{Sig: sig}},
		}},
	}, nil
}

// statementHead reads a statement without its predicate, which comes last in
// what NewStatement makes.
func statementHead(statement []byte) (*Statement, error) {
	dec := json.NewDecoder(bytes.NewReader(statement))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return parseStatement(statement)
	}
	var s Statement
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return parseStatement(statement)
		}
		switch key {
		case "_type":
			err = dec.Decode(&s.Type)
		case "subject":
			err = dec.Decode(&s.Subject)
		case "predicateType":
			err = dec.Decode(&s.PredicateType)
		default:
			if key != "predicate" || len(s.Subject) == 0 || s.PredicateType == "" {
				return parseStatement(statement)
			}
			return &s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("in-toto statement: %w", err)
		}
	}
	return parseStatement(statement)
}
