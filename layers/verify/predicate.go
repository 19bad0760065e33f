package verify

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// Predicate returns what is attested of a manifest under a predicate type.
// With a key the attestation must be signed by it; without one, what it says
// is only as good as the place that it lies in. The error is ErrAttestation
// where there is none, or none that is so signed and speaks of the manifest.
func Predicate(ctx context.Context, repo publish.Repository, subject recipes.Digest, predicateType string, key crypto.PublicKey) ([]byte, error) {
	items, err := Items(ctx, repo, attest.AttestationTag(subject))
	if errors.Is(err, ErrNoTag) {
		return nil, fmt.Errorf("%w: no attestation", ErrAttestation)
	}
	if err != nil {
		return nil, err
	}
	var verifier *attest.Verifier
	if key != nil {
		if verifier, err = attest.NewVerifier(key); err != nil {
			return nil, err
		}
	}
	reason := fmt.Errorf("no attestation of the type %s", predicateType)
	for _, item := range items {
		if item.Annotations[attest.AnnotationPredicate] != predicateType {
			continue
		}
		if item.Content, err = publish.ReadSmall(ctx, repo, item.Descriptor); err != nil {
			reason = err
			continue
		}
		statement, err := open(verifier, item, subject)
		if err == nil && statement.PredicateType != predicateType {
			err = fmt.Errorf("states %s", statement.PredicateType)
		}
		if err == nil {
			return statement.Predicate, nil
		}
		reason = err
	}
	return nil, fmt.Errorf("%w: %w", ErrAttestation, reason)
}

func open(verifier *attest.Verifier, item attest.Item, subject recipes.Digest) (*attest.Statement, error) {
	if verifier != nil {
		return verifier.Attestation(item, subject)
	}
	statement, err := attest.OpenEnvelope(item.Content)
	if err != nil {
		return nil, err
	}
	if !statement.About(subject) {
		return nil, attest.ErrSubject
	}
	return statement, nil
}
