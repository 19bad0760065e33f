package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

// Form is how a signed thing is written down.
type Form int

// The forms.
const (
	// ClassicSignature is a simple-signing payload with the signature in an
	// annotation: a layer of cosign's .sig manifest.
	ClassicSignature Form = iota
	// ClassicAttestation is a DSSE envelope: a layer of the .att manifest.
	ClassicAttestation
	// Bundle is a sigstore bundle: the layer of a referrer.
	Bundle
)

// String names the form.
func (f Form) String() string {
	return [...]string{"classic signature", "classic attestation", "bundle"}[f]
}

// Item is a signed thing as it lies beside an image.
type Item struct {
	Form        Form
	Content     []byte
	Annotations map[string]string // of its descriptor; a bundle needs none
}

// signed is an item that was read, not yet verified.
type signed struct {
	item    Item
	content verify.SignatureContent
	// envelope is the DSSE envelope; nil for a classic signature, whose
	// payload is the item's content.
	envelope []byte
	bundle   *bundle.Bundle // nil for classic forms
}

// parse reads an item's form.
func parse(item Item) (*signed, error) {
	switch item.Form {
	case ClassicSignature:
		return parseSignature(item)
	case ClassicAttestation:
		return parseAttestation(item)
	case Bundle:
		return parseBundle(item)
	}
	return nil, fmt.Errorf("form %d", item.Form)
}

func parseSignature(item Item) (*signed, error) {
	sig, err := base64Annotation(item.Annotations, attest.AnnotationSignature)
	if err != nil {
		return nil, err
	}
	if len(sig) == 0 {
		return nil, errors.New("no signature in the annotation")
	}
	sum := sha256.Sum256(item.Content)
	return &signed{item: item, content: bundle.NewMessageSignature(sum[:], "sha256", sig)}, nil
}

func parseAttestation(item Item) (*signed, error) {
	var e ssldsse.Envelope
	if err := json.Unmarshal(item.Content, &e); err != nil {
		return nil, err
	}
	return &signed{item: item, content: &bundle.Envelope{Envelope: &e}, envelope: item.Content}, nil
}

func parseBundle(item Item) (*signed, error) {
	b, err := attest.ParseBundle(item.Content)
	if err != nil {
		return nil, err
	}
	content, err := b.SignatureContent()
	if err != nil {
		return nil, err
	}
	return &signed{item: item, content: content, envelope: b.Envelope, bundle: b.Bundle}, nil
}

// Claimed is the predicate type that an item calls itself, which nobody
// vouched for: empty for a signature or where it cannot be read.
func (i Item) Claimed() string {
	switch i.Form {
	case ClassicAttestation:
		if statement, err := attest.OpenEnvelope(i.Content); err == nil {
			return statement.PredicateType
		}
	case Bundle:
		if b, err := attest.ParseBundle(i.Content); err == nil {
			return b.Statement.PredicateType
		}
	}
	return ""
}

// String says what an item calls itself, which nobody vouched for: it helps a
// person to see whose signature was refused.
func (s *signed) String() string {
	material, err := s.material()
	if err != nil || material.Certificate() == nil {
		return s.item.Form.String() + " by a key"
	}
	summary, err := certificate.SummarizeCertificate(material.Certificate())
	if err != nil {
		return s.item.Form.String() + " by an unreadable certificate"
	}
	return fmt.Sprintf("%s by %q (issuer %q)", s.item.Form, summary.SubjectAlternativeName, summary.Issuer)
}

// artifact is what sigstore's verifier compares with the signed content. The
// subjects of a statement are compared in claims, for all forms in one place.
func (s *signed) artifact() verify.ArtifactPolicyOption {
	if s.envelope != nil {
		return verify.WithoutArtifactUnsafe()
	}
	return verify.WithArtifact(io.Reader(bytes.NewReader(s.item.Content)))
}

// claims reads what was signed, once the signature holds, and compares it
// with the manifest that it must be about.
func (s *signed) claims(digest recipes.Digest, a *Accepted) error {
	if s.envelope == nil {
		about, repository, err := attest.OpenPayload(s.item.Content)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrForm, err)
		}
		a.Repository = repository
		if about != digest {
			return fmt.Errorf("%w: it is of sha256:%s, in %q", ErrSubject, about, repository)
		}
		return nil
	}
	statement, err := attest.OpenEnvelope(s.envelope)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	a.Statement = statement
	want, ok := s.item.Annotations[attest.AnnotationPredicate]
	if ok && want != statement.PredicateType {
		return fmt.Errorf("%w: annotated as %s, states %s", ErrSubject, want, statement.PredicateType)
	}
	for _, subject := range statement.Subject {
		if subject.Digest["sha256"] == string(digest) {
			a.Repository = subject.Name
			return nil
		}
	}
	return fmt.Errorf("%w: it is of %s", ErrSubject, subjects(statement))
}

// subjects names the first subject and how many there are.
func subjects(s *attest.Statement) string {
	first := fmt.Sprintf("%q sha256:%s", s.Subject[0].Name, s.Subject[0].Digest["sha256"])
	if more := len(s.Subject) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", first, more)
	}
	return first
}
