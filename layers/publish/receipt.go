package publish

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// A whole look at an image in a registry is some thirty requests: every tag,
// blob, signature and attestation. After a push, which has read all of that
// back, a receipt is kept, and the next push of the same makes two requests an
// image instead, for what is written last: the last tag, and the last list of
// what is said, which holds the signature.
//
// That is enough against all that pushes do. Whoever publishes something else
// under these tags moves the last one too, after all others; whoever stops
// halfway has moved other tags and not the last, and then it is this machine,
// where the receipt is void before the first tag moves, or another, which has
// an unfinished push to repeat. A registry serves a manifest as long as a tag
// names it, and keeps what the manifest names. What others take away or move by
// other means than a push, Copy among them, an older tag or a blob, is found
// within ReceiptLife, or at once with Options.Recheck; so is a signature that a
// push with another key took out of cosign's tag because both read it at the
// same time, where the format has bundles too, which are what is asked for then.
// Whatever is under a tag meanwhile was whole and signed when it was tagged.

// receiptRecord is the kind of the records of receipts, by repository and tag.
// Those of folders are others: see folderReceipt.
const receiptRecord = "receipt"

// ReceiptLife is how long two requests an image, or the marks of its files, stand
// for a whole look.
const ReceiptLife = 24 * time.Hour

// receipt says what a finished push left in a registry.
type receipt struct {
	Key    string        `json:"key"` // all that the push was of; empty in one that is void
	Time   time.Time     `json:"time"`
	Digest digest.Digest `json:"digest"` // of the manifest that the tags name
	// Classic is the signature under cosign's tag, and Referrers are those of
	// the manifest, a signature among them.
	Classic   *ocispec.Descriptor `json:"classic,omitempty"`
	Referrers []digest.Digest     `json:"referrers,omitempty"`
	// Fallback says that the registry lists these under a tag.
	Fallback bool `json:"fallback,omitempty"`
	// Void is which push voided it.
	Void string `json:"void,omitempty"`
}

// Unchanged says whether a destination still has what the last push of the very
// same release left there: a registry by two requests, a folder by index.json
// and what the file system says of each file. Where it does not know, it says
// no: Publish then looks at everything, and writes what is missing.
func Unchanged(ctx context.Context, dest Destination, r Release, o Options) (Result, bool) {
	p, err := newPublication(dest, r, o)
	if err != nil || o.Recheck {
		return Result{}, false
	}
	key := p.receiptKey()
	if key == "" {
		return Result{}, false
	}
	if folder, ok := p.repo.(*layoutRepository); ok {
		kept, ok := p.unchangedFolder(ctx, folder, key)
		return p.unchanged(kept.Digest), ok
	}
	kept, ok := p.receipt(r.Tags[len(r.Tags)-1])
	if !ok || kept.Key != key {
		return Result{}, false
	}
	for _, tag := range r.Tags {
		if other, ok := p.receipt(tag); !ok || other.Key != key || !other.Time.Equal(kept.Time) {
			return Result{}, false
		}
	}
	if !lives(kept.Time) {
		return Result{}, false
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		d, err := p.repo.Resolve(ctx, r.Tags[len(r.Tags)-1])
		if err == nil && d.Digest != kept.Digest {
			err = ErrChanged
		}
		return err
	})
	group.Go(func() error { return p.stillSaid(ctx, kept) })
	if group.Wait() != nil {
		return Result{}, false
	}
	return p.unchanged(kept.Digest), true
}

// unchanged is the result of a push that has nothing to do.
func (p *publication) unchanged(top digest.Digest) Result {
	p.result.Digest, p.result.Reference = top, p.repo.Reference(p.release.Tags[0])
	return p.result
}

// stillSaid asks for the list of what was written last.
func (p *publication) stillSaid(ctx context.Context, kept receipt) error {
	if !p.options.Format.Bundles() {
		subject, err := Hex(kept.Digest)
		if err != nil {
			return err
		}
		tag, err := readClassic(ctx, p.repo, attest.SignatureTag(subject))
		if err == nil && (kept.Classic == nil || !attest.Holds(tag.items, []attest.Item{{Descriptor: *kept.Classic}})) {
			err = ErrChanged
		}
		return err
	}
	there, err := p.referrersAsBefore(ctx, kept)
	for _, d := range kept.Referrers {
		if err == nil && !lists(there, d) {
			err = ErrChanged
		}
	}
	if len(kept.Referrers) == 0 {
		err = errors.Join(err, ErrChanged)
	}
	return err
}

// referrersAsBefore lists them as the registry listed them to the last push,
// without asking again whether it has an API.
func (p *publication) referrersAsBefore(ctx context.Context, kept receipt) ([]ocispec.Descriptor, error) {
	repo := p.repo.(*registryRepository)
	if !kept.Fallback {
		return repo.Referrers(ctx, kept.Digest)
	}
	client, err := repo.reading(ctx)
	if err != nil {
		return nil, err
	}
	listed, _, err := repo.fallback(ctx, client, kept.Digest)
	return listed, err
}

// receiptKey stands for all that a release is published with; "" where no
// receipt is kept.
func (p *publication) receiptKey() string {
	parts := []string{p.release.Fixed, fmt.Sprint("merge ", p.options.Merge)}
	for _, tag := range p.release.Tags {
		parts = append(parts, "tag "+tag)
	}
	for _, img := range p.release.Images {
		key := p.memoryKey(imageManifest(img), img.Attestations)
		if key == "" {
			return ""
		}
		parts = append(parts, string(img.Platform), key)
	}
	key := p.memoryKey(p.top(), nil)
	if key == "" {
		return ""
	}
	return hashOf(append(parts, key)...)
}

func (p *publication) inRegistry() bool {
	_, ok := p.repo.(*registryRepository)
	return ok
}

func (p *publication) receipt(tag string) (receipt, bool) {
	if p.options.Memory == nil {
		return receipt{}, false
	}
	data, ok := p.options.Memory.Record(receiptRecord, p.repo.Reference(tag))
	if !ok {
		return receipt{}, false
	}
	var r receipt
	err := json.Unmarshal(data, &r)
	return r, err == nil
}

// void ends the receipts of all tags that may move now. Where there is one and
// it cannot be ended, nothing may move; else a store that cannot be written to
// costs a receipt and no more.
func (p *publication) void() error {
	if !p.inRegistry() || p.options.Memory == nil {
		return nil
	}
	if p.voided == "" {
		p.voided = rand.Text()
	}
	for _, tag := range p.release.Tags {
		kept, ok := p.receipt(tag)
		if ok && kept.Void == p.voided {
			continue
		}
		ends := ok && kept.Key != ""
		if !ends && p.receiptKey() == "" {
			continue
		}
		if err := p.setReceipt(tag, receipt{Void: p.voided}); err != nil && ends {
			return fmt.Errorf("end the receipt of the last push: %w", err)
		}
	}
	return nil
}

// swap moves the tags. Another push with the same store may have come to its end
// since this one began: its receipts end too.
func (p *publication) swap(ctx context.Context, top Manifest) error {
	if err := p.void(); err != nil {
		return err
	}
	return p.repo.Swap(ctx, top, p.result.Moved, p.current)
}

// keepReceipt keeps the receipt of a push that is finished, and none where
// somebody else moved one of its tags meanwhile, or may be about to: a push
// with the same store that began later, or came to its tags later, and has not
// come to its end.
func (p *publication) keepReceipt(ctx context.Context) error {
	key := p.receiptKey()
	if key == "" {
		return nil
	}
	if folder, ok := p.repo.(*layoutRepository); ok {
		return p.keepFolderReceipt(folder, key)
	}
	// Tags that moved were read back after the last of them was written.
	if len(p.result.Moved) < len(p.release.Tags) {
		named, err := p.resolve(ctx)
		if err != nil || slices.ContainsFunc(named, func(d ocispec.Descriptor) bool { return d.Digest != p.result.Digest }) {
			return ctx.Err()
		}
	}
	// After all requests: whoever voids one from now on has yet to move a tag.
	for _, tag := range p.release.Tags {
		if last, _ := p.receipt(tag); last.Void != p.voided {
			return nil
		}
	}
	repo := p.repo.(*registryRepository)
	repo.mu.Lock()
	r := receipt{Key: key, Time: time.Now().UTC(), Digest: p.result.Digest, Fallback: repo.without}
	repo.mu.Unlock()
	for _, m := range p.held.referrers {
		subject, err := referrerSubject(m)
		if err != nil {
			return err
		}
		if subject == r.Digest {
			r.Referrers = append(r.Referrers, m.Digest())
		}
	}
	subject, err := Hex(r.Digest)
	if err != nil {
		return err
	}
	for _, held := range p.held.classic {
		if held.tag == attest.SignatureTag(subject) {
			r.Classic = &held.items[0].Descriptor
		}
	}
	for _, tag := range p.release.Tags {
		if err := p.setReceipt(tag, r); err != nil {
			return err
		}
	}
	return nil
}

func (p *publication) setReceipt(tag string, r receipt) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return p.options.Memory.SetRecord(receiptRecord, p.repo.Reference(tag), data)
}
