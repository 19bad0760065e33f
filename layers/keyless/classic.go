package keyless

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

var errNoStamp = errors.New("a classic signature needs a timestamp authority, and the signing config names none")

// Signature signs a payload.
func (s *Signer) Signature(ctx context.Context, payload []byte) (attest.Item, error) {
	item, err := s.signature(ctx, payload)
	if err != nil {
		return attest.Item{}, fmt.Errorf("sign as %s: %w", s.ID(), err)
	}
	return item, nil
}

func (s *Signer) signature(ctx context.Context, payload []byte) (attest.Item, error) {
	c, err := s.credential(ctx)
	if err != nil {
		return attest.Item{}, err
	}
	sig, _, err := c.keypair.SignData(ctx, payload)
	if err != nil {
		return attest.Item{}, err
	}
	stamp, err := s.stamp(ctx, sig)
	if err != nil {
		return attest.Item{}, err
	}
	item := attest.SignatureItem(payload, sig)
	if err := item.Certify(c.leaf, c.chain, stamp); err != nil {
		return attest.Item{}, err
	}
	subject, _, err := attest.OpenPayload(payload)
	if err != nil {
		return attest.Item{}, err
	}
	return item, s.check(ctx, item, subject)
}

// Attestation brings the envelope of a bundle in classic form, with a
// timestamp of its own: cosign's is over the whole envelope.
func (s *Signer) Attestation(ctx context.Context, b *attest.Bundle) (attest.Item, error) {
	item, err := s.attestation(ctx, b)
	if err != nil {
		return attest.Item{}, fmt.Errorf("sign as %s: %w", s.ID(), err)
	}
	return item, nil
}

func (s *Signer) attestation(ctx context.Context, b *attest.Bundle) (attest.Item, error) {
	leaf, err := leafOf(b)
	if err != nil {
		return attest.Item{}, err
	}
	if time.Until(leaf.NotAfter) < margin {
		// Of an earlier push: a timestamp of today would come too late.
		if b, err = s.bundle(ctx, b.Payload()); err != nil {
			return attest.Item{}, err
		}
		if leaf, err = leafOf(b); err != nil {
			return attest.Item{}, err
		}
	}
	chain, err := s.chain(leaf)
	if err != nil {
		return attest.Item{}, err
	}
	stamp, err := s.stamp(ctx, b.Envelope)
	if err != nil {
		return attest.Item{}, err
	}
	item := attest.AttestationItem(b.Statement.PredicateType, b.Envelope)
	if err := item.Certify(leaf, chain, stamp); err != nil {
		return attest.Item{}, err
	}
	subject := recipes.Digest(b.Statement.Subject[0].Digest["sha256"])
	return item, s.check(ctx, item, subject)
}

// stamp asks the timestamp authority when it saw content.
func (s *Signer) stamp(ctx context.Context, content []byte) (stamp []byte, err error) {
	if !s.Classic() {
		return nil, errNoStamp
	}
	err = s.try(ctx, func() error {
		stamp, err = s.stampers(ctx)[0].GetTimestamp(ctx, content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("timestamp authority %s: %w", s.services.stampers[0], err)
	}
	return stamp, nil
}
