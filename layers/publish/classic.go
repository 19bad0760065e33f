package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

// classicTag is what lies under one of cosign's tags.
type classicTag struct {
	name   string
	named  digest.Digest // what the tag names, broken or not
	digest digest.Digest // "" where there is nothing
	items  []attest.Item
	// unread says that it was not asked for: it belongs to a manifest that is
	// new, and so does all that would lie there.
	unread bool
}

// readClassic reads the manifest under one of cosign's tags. One that is
// missing or broken counts as empty: it is written anew.
func readClassic(ctx context.Context, repo Repository, tag string) (*classicTag, error) {
	found := &classicTag{name: tag}
	d, err := repo.Resolve(ctx, tag)
	if errors.Is(err, ErrNoTag) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	found.named = d.Digest
	m, err := repo.Manifest(ctx, d.Digest)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	if found.items, err = attest.Read(m.Raw); err != nil {
		return nil, fmt.Errorf("%s: %w", repo.Reference(tag), err)
	}
	found.digest = d.Digest
	return found, nil
}

// classic is what lies under one of cosign's tags: of a manifest that is new,
// nothing, until it turns out otherwise when the tag is written.
func (p *publication) classic(ctx context.Context, subject recipes.Digest, tag string) (*classicTag, error) {
	if p.isNew(SHA256(subject)) {
		return &classicTag{name: tag, unread: true}, nil
	}
	return readClassic(ctx, p.repo, tag)
}

// findItem looks for an item that the signer made and that want takes; nil
// where there is none.
func (p *publication) findItem(ctx context.Context, tag *classicTag, mediaType string, want func(attest.Item) bool) (*attest.Item, error) {
	for _, item := range tag.items {
		if item.MediaType != mediaType {
			continue
		}
		content, err := ReadSmall(ctx, p.repo, item.Descriptor)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnreadable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		item.Content = content
		if want(item) && p.options.Signer.Signed(item) {
			return &item, nil
		}
	}
	return nil, nil
}

// writeClassic writes attestations and signature under cosign's tags.
func (p *publication) writeClassic(ctx context.Context, subject recipes.Digest, claims []*claim) error {
	var items []attest.Item
	for _, c := range claims {
		if c.item != nil {
			items = append(items, *c.item)
		}
	}
	if len(items) > 0 {
		tag, err := p.classic(ctx, subject, attest.AttestationTag(subject))
		if err != nil {
			return err
		}
		if err := p.putClassic(ctx, tag, items); err != nil {
			return err
		}
	}
	payload, err := attest.Payload(p.repo.Name(), subject)
	if err != nil {
		return err
	}
	tag, err := p.classic(ctx, subject, attest.SignatureTag(subject))
	if err != nil {
		return err
	}
	item, err := p.signature(ctx, tag, payload)
	if err != nil {
		return fmt.Errorf("sign %s: %w", subject, err)
	}
	if err := p.blobs(ctx, []Blob{p.sayingBlob(subject, item)}); err != nil {
		return err
	}
	return p.putClassic(ctx, tag, []attest.Item{item})
}

// signature is the one that the signer made before, or a new one.
func (p *publication) signature(ctx context.Context, tag *classicTag, payload []byte) (attest.Item, error) {
	if !p.options.Signer.Repeats() {
		found, err := p.findItem(ctx, tag, attest.MediaTypeSimpleSigning, func(i attest.Item) bool {
			return bytes.Equal(i.Content, payload)
		})
		if err != nil {
			return attest.Item{}, err
		}
		if found != nil {
			return *found, nil
		}
	}
	return p.options.Signer.Signature(ctx, payload)
}

// putClassic puts items into the manifest under one of cosign's tags, among
// what is there, and sees to it that they stay.
func (p *publication) putClassic(ctx context.Context, tag *classicTag, ours []attest.Item) error {
	p.mu.Lock()
	p.held.classic = append(p.held.classic, heldItems{tag.name, ours})
	p.mu.Unlock()
	return p.mergeClassic(ctx, tag, ours)
}

// mergeClassic writes the tag unless it has moved meanwhile: then what
// another wrote there is taken in.
func (p *publication) mergeClassic(ctx context.Context, tag *classicTag, ours []attest.Item) error {
	for range holdTries {
		m, err := p.merged(ctx, tag, ours)
		if err != nil {
			return err
		}
		p.name(tag.name, m.Digest())
		if tag.digest == m.Digest() {
			return nil
		}
		p.mu.Lock()
		p.held.wrote = true
		p.mu.Unlock()
		err = p.swapClassic(ctx, m, tag)
		if err == nil && p.inRegistry() {
			p.mu.Lock()
			p.result.Manifests++ // it is written with the tag
			p.mu.Unlock()
		}
		if !errors.Is(err, ErrChanged) && !errors.Is(err, ErrReadBack) {
			return err
		}
		if tag, err = readClassic(ctx, p.repo, tag.name); err != nil {
			return err
		}
	}
	return p.takenAway()
}

// swapClassic moves the tag. That another wrote it right after is no error here,
// and a registry is not asked: hold reads it before any tag of the image moves.
func (p *publication) swapClassic(ctx context.Context, m Manifest, tag *classicTag) error {
	if registry, ok := p.repo.(*registryRepository); ok {
		return registry.swapOne(ctx, m, tag.name, tag.named)
	}
	return p.repo.Swap(ctx, m, []string{tag.name}, map[string]digest.Digest{tag.name: tag.named})
}

// merged writes the manifest of what lies under a tag and of ours.
func (p *publication) merged(ctx context.Context, tag *classicTag, ours []attest.Item) (Manifest, error) {
	merged, err := attest.Merge(tag.items, ours, func(old, new attest.Item) (bool, error) {
		return p.replaces(ctx, old, new)
	})
	if err != nil {
		return Manifest{}, err
	}
	assembled, err := attest.Assemble(merged)
	if err != nil {
		return Manifest{}, err
	}
	for _, item := range merged {
		p.stand(item.Digest) // others' too: one that is gone leaves the list
	}
	config := p.itemBlob(assembled.Config)
	config.fresh = tag.unread
	blobs := []Blob{config}
	for _, item := range ours {
		blobs = append(blobs, p.itemBlob(item))
	}
	if err := p.blobs(ctx, blobs); err != nil {
		return Manifest{}, err
	}
	m := Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: assembled.Raw}
	if p.inRegistry() && m.Digest() != tag.digest {
		return m, nil // it is written with the tag, and looked at with it
	}
	return m, p.manifest(ctx, m)
}

// replaces says whether old is what this signer said before of the same.
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
	return p.options.Signer.Signed(old), nil
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
