package publish

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// MaxStatement is the largest signature or attestation that is read, in
// bytes, as in cosign.
const MaxStatement = 128 << 20

// attest signs what is said of a manifest and writes it beside it.
func (p *publication) attest(ctx context.Context, m Manifest, attestations []Attestation) error {
	if len(attestations) == 0 {
		return nil
	}
	subject, err := Hex(m.Digest())
	if err != nil {
		return err
	}
	items := make([]attest.Item, 0, len(attestations))
	for _, a := range attestations {
		predicate, err := a.Predicate(ctx)
		if err != nil {
			return fmt.Errorf("attestation %s: %w", a.PredicateType, err)
		}
		statement, err := attest.NewStatement(p.repo.Name(), subject, a.PredicateType, predicate)
		if err != nil {
			return err
		}
		envelope, err := attest.Envelope(ctx, p.options.Signer, statement)
		if err != nil {
			return err
		}
		items = append(items, attest.AttestationItem(a.PredicateType, envelope))
	}
	return p.classic(ctx, attest.AttestationTag(subject), items)
}

// sign signs a manifest by its locally computed digest.
func (p *publication) sign(ctx context.Context, m Manifest) error {
	if p.options.Signer == nil {
		return nil
	}
	subject, err := Hex(m.Digest())
	if err != nil {
		return err
	}
	payload, err := attest.Payload(p.repo.Name(), subject)
	if err != nil {
		return err
	}
	signature, err := p.options.Signer.Sign(ctx, payload)
	if err != nil {
		return fmt.Errorf("sign %s: %w", m.Digest(), err)
	}
	return p.classic(ctx, attest.SignatureTag(subject), []attest.Item{attest.SignatureItem(payload, signature)})
}

// classic puts items into the manifest under one of cosign's tags, among
// what is there.
func (p *publication) classic(ctx context.Context, tag string, ours []attest.Item) error {
	existing, current, err := classicItems(ctx, p.repo, tag)
	if err != nil {
		return err
	}
	merged, err := attest.Merge(existing, ours, func(old, new attest.Item) (bool, error) {
		return p.replaces(ctx, old, new)
	})
	if err != nil {
		return err
	}
	assembled, err := attest.Assemble(merged)
	if err != nil {
		return err
	}
	blobs := []Blob{BytesBlob(assembled.Config.MediaType, assembled.Config.Content)}
	for _, item := range ours {
		blobs = append(blobs, BytesBlob(item.MediaType, item.Content))
	}
	if err := p.blobs(ctx, blobs); err != nil {
		return err
	}
	m := Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: assembled.Raw}
	if err := p.manifest(ctx, m); err != nil {
		return err
	}
	if current == m.Digest() {
		return nil
	}
	return p.repo.Tag(ctx, m, []string{tag})
}

// classicItems reads the manifest under one of cosign's tags. One that is
// missing or broken counts as empty: it is written anew.
func classicItems(ctx context.Context, repo Repository, tag string) ([]attest.Item, digest.Digest, error) {
	d, err := repo.Resolve(ctx, tag)
	if errors.Is(err, ErrNoTag) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	m, err := repo.Manifest(ctx, d.Digest)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	items, err := attest.Read(m.Raw)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", repo.Reference(tag), err)
	}
	return items, d.Digest, nil
}

// replaces says whether old is what this key said before of the same.
func (p *publication) replaces(ctx context.Context, old, new attest.Item) (bool, error) {
	if old.MediaType != new.MediaType ||
		old.Annotations[attest.AnnotationPredicate] != new.Annotations[attest.AnnotationPredicate] {
		return false, nil
	}
	content, err := ReadSmall(ctx, p.repo, old.Descriptor)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return true, nil // nothing to lose
	}
	if err != nil {
		return false, err
	}
	old.Content = content
	return p.verifier.Signed(old), nil
}

// ReadSmall reads a blob of at most MaxStatement bytes.
func ReadSmall(ctx context.Context, repo Repository, d ocispec.Descriptor) ([]byte, error) {
	if d.Size > MaxStatement {
		return nil, fmt.Errorf("%w: %s: %d bytes, at most %d are read", ErrUnreadable, repo.Reference(d.Digest.String()), d.Size, MaxStatement)
	}
	rc, err := repo.Blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	content, err := io.ReadAll(rc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", repo.Reference(d.Digest.String()), err)
	}
	return content, nil
}
