// Package trust decides whether a signed thing is signed by somebody who may
// sign: the holder of a key, or an identity that a certificate authority
// vouched for. It takes the three forms in which cosign leaves signatures
// beside an image: classic signatures, classic attestations and sigstore
// bundles. What it accepts it verified with sigstore's own library, offline
// and against what its caller trusts; nothing is looked up.
package trust

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

// Errors of checking.
var (
	// ErrSigner is a signature that is broken, or by somebody who may not
	// sign.
	ErrSigner = attest.ErrSignature
	// ErrSubject is a good signature that speaks of another manifest.
	ErrSubject = attest.ErrSubject
	// ErrForm is what cannot be read as a signature at all.
	ErrForm = errors.New("not a signature that can be read")
	// ErrConfig is trust that cannot work, such as a trusted root without
	// the log that must be asked.
	ErrConfig = errors.New("cannot be verified")
)

// Signer is somebody who may sign.
type Signer interface {
	// String names the signer as a person compares it.
	String() string
	// Skips says what is not checked of this signer, a line each.
	Skips() []string
	// accept verifies a signed thing, claims aside.
	accept(s *signed) (acceptance, error)
}

// acceptance is what a signer knows of a signature that holds.
type acceptance struct {
	by string
	at time.Time // zero where nobody but the signer says when
}

// Signers are those who may sign; any of them suffices.
type Signers []Signer

// String names them all.
func (s Signers) String() string {
	names := make([]string, len(s))
	for i, one := range s {
		names[i] = one.String()
	}
	return strings.Join(names, ", or ")
}

// Skips says what is not checked of them, each line once.
func (s Signers) Skips() []string {
	var all []string
	seen := map[string]bool{}
	for _, one := range s {
		for _, line := range one.Skips() {
			if !seen[line] {
				seen[line] = true
				all = append(all, line)
			}
		}
	}
	return all
}

// Accepted is a signed thing that holds: by whom, and what it says.
type Accepted struct {
	By   string
	Form Form
	// At is when the signature was seen by a log or timestamp authority;
	// zero for a key that nobody timestamped.
	At time.Time
	// Repository is the name that was signed; empty where the statement
	// binds a digest alone.
	Repository string
	// Statement is what a DSSE envelope says; nil for a classic signature.
	Statement *attest.Statement
}

// String says by whom and in which form.
func (a Accepted) String() string {
	text := a.Form.String() + " by " + a.By
	if !a.At.IsZero() {
		text += ", " + a.At.UTC().Format(time.RFC3339)
	}
	return text
}

// Check verifies an item and what it claims to be about: the manifest with
// this digest. The error is ErrForm, ErrSigner or ErrSubject.
func (s Signers) Check(item Item, digest recipes.Digest) (Accepted, error) {
	parsed, err := parse(item)
	if err != nil {
		return Accepted{}, fmt.Errorf("%w: %s: %w", ErrForm, item.Form, err)
	}
	var refused []string
	for _, one := range s {
		by, err := one.accept(parsed)
		if err != nil {
			refused = append(refused, err.Error())
			continue
		}
		a := Accepted{By: by.by, Form: item.Form, At: by.at}
		err = parsed.claims(digest, &a)
		return a, err
	}
	return Accepted{}, fmt.Errorf("%w: %s: %s", ErrSigner, parsed, strings.Join(refused, "; "))
}
