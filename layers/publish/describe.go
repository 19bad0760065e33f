package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

// MaxStatement is the largest signature or attestation that is read, in
// bytes, as in cosign.
const MaxStatement = 128 << 20

// claim is one statement about a manifest on its way to being signed.
type claim struct {
	predicateType string
	// make gives the statement, which is kept once it was made.
	make      func(ctx context.Context) ([]byte, error)
	statement []byte
	// signed, bundle and item are its signed forms, the last two each where
	// the format asks for it: found in the repository, made, or only known
	// from an earlier push. Then signed is nil and the others lack content.
	signed *attest.Bundle
	bundle *attest.Manifest // the bundle as a referrer
	item   *attest.Item     // the classic form
	mu     sync.Mutex       // guards what again makes
}

// describe signs a manifest, by its locally computed digest, and what is said
// of it, and writes all of that beside it, before a tag names it. What an earlier
// push signed is not made again where it is at the destination already.
func (p *publication) describe(ctx context.Context, m Manifest, attestations []Attestation) error {
	if p.options.Signer == nil {
		return nil
	}
	subject, err := Hex(m.Digest())
	if err != nil {
		return err
	}
	key := p.memoryKey(m, attestations)
	if claims := p.claims(subject, attestations); p.recall(key, m.Digest(), claims) {
		held := p.held
		err := p.write(ctx, subject, claims)
		if !errors.Is(err, errUnlike) {
			return err
		}
		p.held.classic, p.held.referrers = held.classic, held.referrers
	}
	claims := p.claims(subject, attestations)
	if err := p.makeAll(ctx, m.Descriptor(), claims); err != nil {
		return err
	}
	p.kept("what was signed", p.remember(key, claims))
	return p.write(ctx, subject, claims)
}

// makeAll makes every signed form of the claims.
func (p *publication) makeAll(ctx context.Context, subject ocispec.Descriptor, claims []*claim) error {
	for _, c := range claims {
		var err error
		if c.statement, err = c.make(ctx); err != nil {
			return err
		}
	}
	if err := p.find(ctx, subject.Digest, claims); err != nil {
		return err
	}
	if err := p.signAll(ctx, claims); err != nil {
		return fmt.Errorf("sign what is said of %s: %w", subject.Digest, err)
	}
	if !p.options.Format.Bundles() {
		return nil
	}
	for _, c := range claims {
		var err error
		if c.bundle, err = attest.Referrer(subject, c.predicateType, c.signed.Content); err != nil {
			return err
		}
	}
	return nil
}

// write writes what is missing of the claims at the destination: what they
// hold first, then the two lists that name it, one beside the other.
func (p *publication) write(ctx context.Context, subject recipes.Digest, claims []*claim) error {
	var blobs []Blob
	for _, c := range claims {
		if c.bundle != nil {
			blobs = append(blobs, p.itemBlob(c.bundle.Config))
			for _, item := range c.bundle.Items {
				blobs = append(blobs, p.sayingBlob(subject, item))
			}
		}
		if c.item != nil {
			blobs = append(blobs, p.sayingBlob(subject, *c.item))
		}
	}
	if err := p.blobs(ctx, blobs); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if p.options.Format.Classic() {
		group.Go(func() error { return p.writeClassic(ctx, subject, claims) })
	}
	if p.options.Format.Bundles() {
		group.Go(func() error { return p.writeBundles(ctx, claims) })
	}
	return group.Wait()
}

// sayingBlob is an item that names its subject.
func (p *publication) sayingBlob(subject recipes.Digest, item attest.Item) Blob {
	b := p.itemBlob(item)
	b.fresh = p.isNew(SHA256(subject))
	return b
}

// claims are the attestations in their order, and last the signature. Its
// statement is for bundles only: the classic signature has a payload of its
// own.
func (p *publication) claims(subject recipes.Digest, attestations []Attestation) []*claim {
	var claims []*claim
	for _, a := range attestations {
		claims = append(claims, &claim{predicateType: a.PredicateType, make: func(ctx context.Context) ([]byte, error) {
			predicate, err := a.Predicate(ctx)
			if err != nil {
				return nil, fmt.Errorf("attestation %s: %w", a.PredicateType, err)
			}
			if a.Compact {
				return attest.CompactStatement(p.repo.Name(), subject, a.PredicateType, predicate)
			}
			return attest.NewStatement(p.repo.Name(), subject, a.PredicateType, predicate)
		}})
	}
	if !p.options.Format.Bundles() {
		return claims
	}
	return append(claims, &claim{predicateType: attest.PredicateSign, make: func(context.Context) ([]byte, error) {
		return attest.SignStatement(p.repo.Name(), subject)
	}})
}

// isClassic says whether a claim has a classic form under the .att tag.
func (p *publication) isClassic(c *claim) bool {
	return p.options.Format.Classic() && c.predicateType != attest.PredicateSign
}

// find looks for claims that the signer has signed before, where it would
// not sign them with the same bytes again.
func (p *publication) find(ctx context.Context, subject digest.Digest, claims []*claim) error {
	signer := p.options.Signer
	if signer.Repeats() || p.isNew(subject) {
		return nil
	}
	if p.options.Format.Bundles() {
		stored, err := Bundles(ctx, p.repo, subject)
		if err != nil {
			return err
		}
		for _, s := range stored {
			b, err := attest.ParseBundle(s.Content)
			if err != nil {
				continue // not ours
			}
			for _, c := range claims {
				if c.signed == nil && bytes.Equal(b.Payload(), c.statement) && signer.Signed(attest.BundleItem(s.Content)) {
					c.signed = b
				}
			}
		}
	}
	if !p.options.Format.Classic() {
		return nil
	}
	hex, err := Hex(subject)
	if err != nil {
		return err
	}
	tag, err := readClassic(ctx, p.repo, attest.AttestationTag(hex))
	if err != nil {
		return err
	}
	for _, c := range claims {
		if !p.isClassic(c) {
			continue
		}
		item, err := p.findItem(ctx, tag, attest.MediaTypeDSSE, func(i attest.Item) bool {
			payload, err := attest.EnvelopePayload(i.Content)
			return err == nil && bytes.Equal(payload, c.statement)
		})
		if err != nil {
			return err
		}
		c.item = item
	}
	return nil
}

// signAll makes what is missing, several at a time: each may be a question to
// a certificate authority, a log and a clock.
func (p *publication) signAll(ctx context.Context, claims []*claim) error {
	signer := p.options.Signer
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.options.Jobs)
	for _, c := range claims {
		group.Go(func() (err error) {
			classic := p.isClassic(c) && c.item == nil
			if c.signed == nil && (classic || p.options.Format.Bundles()) {
				if c.signed, err = signer.Bundle(ctx, c.statement); err != nil {
					return err
				}
			}
			if classic {
				item, err := signer.Attestation(ctx, c.signed)
				c.item = &item
				return err
			}
			return nil
		})
	}
	return group.Wait()
}

// writeBundles writes the bundles as referrers.
func (p *publication) writeBundles(ctx context.Context, claims []*claim) error {
	ms := make([]Manifest, 0, len(claims))
	for _, c := range claims {
		ms = append(ms, Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: c.bundle.Raw})
	}
	return p.referrers(ctx, ms...)
}

// referrers writes referrers that are not listed.
func (p *publication) referrers(ctx context.Context, ms ...Manifest) error {
	written, err := p.putReferrers(ctx, ms...)
	if err != nil {
		return err
	}
	for _, m := range ms {
		p.stand(m.Digest())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held.referrers = append(p.held.referrers, ms...)
	p.result.Manifests += len(written)
	p.held.wrote = p.held.wrote || len(written) > 0
	if len(p.result.Moved) > 0 {
		written = ms
	}
	p.written.manifests = append(p.written.manifests, written...)
	return nil
}

// putReferrers asks for no list where there can be none yet.
func (p *publication) putReferrers(ctx context.Context, ms ...Manifest) (written []Manifest, err error) {
	subject, err := oneSubject(ms)
	if err != nil {
		return nil, err
	}
	if registry, ok := p.repo.(*registryRepository); ok && p.isNew(subject) {
		return ms, registry.putListed(ctx, subject, ms)
	}
	return p.repo.PutReferrers(ctx, ms...)
}
