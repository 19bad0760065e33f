package publish

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// Memory keeps small records from one run to the next, as fetch.Store does.
type Memory interface {
	// Record returns what is kept under a key.
	Record(kind, key string) ([]byte, bool)
	// SetRecord keeps data under a key.
	SetRecord(kind, key string, data []byte) error
}

// An SBOM has megabytes. To sign it takes no time, but to write it as a
// statement, an envelope and a bundle does, and nothing of that is sent where
// the destination has it. So a push remembers the digests of what it signed,
// and the next one goes by these: it asks the destination for all that it
// would ask for otherwise, and makes only what is missing there.

// saidRecord is the kind of the records of what was signed.
const saidRecord = "said"

// said is what a record keeps of one claim: descriptors and the small
// manifest, not the content.
type said struct {
	PredicateType string              `json:"predicateType"`
	Referrer      []byte              `json:"referrer,omitempty"`
	Item          *ocispec.Descriptor `json:"item,omitempty"`
}

// errUnlike is a claim that was made again and did not come out as it is
// remembered.
var errUnlike = errors.New("what is signed is not what was remembered")

// memoryKey stands for all that the signed bytes depend on; "" where nothing
// is remembered: without a memory, with a signer whose signatures never
// repeat, or of a predicate that has no key.
func (p *publication) memoryKey(m Manifest, attestations []Attestation) string {
	if p.options.Memory == nil {
		return ""
	}
	var public []byte // of nobody: nothing is signed
	if p.options.Signer != nil {
		signer, ok := p.options.Signer.(interface{ Public() crypto.PublicKey })
		if !ok || !p.options.Signer.Repeats() {
			return ""
		}
		var err error
		if public, err = x509.MarshalPKIXPublicKey(signer.Public()); err != nil {
			return ""
		}
	}
	parts := []string{"1", p.repo.Name(), m.MediaType, m.Digest().String(), string(p.options.Format), string(public)}
	for _, a := range attestations {
		if a.Key == "" {
			return ""
		}
		parts = append(parts, a.PredicateType, a.Key)
	}
	return hashOf(parts...)
}

// hashOf is a digest of strings and where each ends.
func hashOf(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// remember keeps the digests of the signed forms of the claims.
func (p *publication) remember(key string, claims []*claim) error {
	if key == "" {
		return nil
	}
	var all []said
	for _, c := range claims {
		s := said{PredicateType: c.predicateType}
		if c.bundle != nil {
			s.Referrer = c.bundle.Raw
		}
		if c.item != nil {
			s.Item = &c.item.Descriptor
		}
		all = append(all, s)
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return p.options.Memory.SetRecord(saidRecord, key, data)
}

// recall fills in the signed forms of the claims, without their content; it
// says whether all of them are remembered.
func (p *publication) recall(key string, subject digest.Digest, claims []*claim) bool {
	if key == "" {
		return false
	}
	data, ok := p.options.Memory.Record(saidRecord, key)
	if !ok {
		return false
	}
	var all []said
	if err := json.Unmarshal(data, &all); err != nil || len(all) != len(claims) {
		return false
	}
	for i, c := range claims {
		if !p.recallClaim(all[i], subject, c) {
			return false
		}
	}
	return true
}

func (p *publication) recallClaim(s said, subject digest.Digest, c *claim) bool {
	bundles, classic := p.options.Format.Bundles(), p.isClassic(c)
	if s.PredicateType != c.predicateType || bundles != (s.Referrer != nil) || classic != (s.Item != nil) {
		return false
	}
	if bundles {
		var err error
		if c.bundle, err = attest.OpenReferrer(s.Referrer, subject); err != nil {
			return false
		}
		p.recalled[c.bundle.Items[0].Digest] = func(ctx context.Context) ([]byte, error) {
			b, err := c.again(ctx, p.options.Signer)
			if err != nil {
				return nil, err
			}
			return b.Content, nil
		}
	}
	if classic {
		c.item = &attest.Item{Descriptor: *s.Item}
		p.recalled[s.Item.Digest] = func(ctx context.Context) ([]byte, error) {
			b, err := c.again(ctx, p.options.Signer)
			if err != nil {
				return nil, err
			}
			item, err := p.options.Signer.Attestation(ctx, b)
			return item.Content, err
		}
	}
	return true
}

// again signs a claim that is remembered and missing at the destination.
func (c *claim) again(ctx context.Context, signer attest.Signer) (*attest.Bundle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signed != nil {
		return c.signed, nil
	}
	statement, err := c.make(ctx)
	if err != nil {
		return nil, err
	}
	c.signed, err = signer.Bundle(ctx, statement)
	return c.signed, err
}

// itemBlob is an item as a blob; the content of one that is remembered is
// made once it is asked for.
func (p *publication) itemBlob(item attest.Item) Blob {
	again := p.recalled[item.Digest]
	d := ocispec.Descriptor{MediaType: item.MediaType, Digest: item.Digest, Size: item.Size}
	if item.Content != nil || again == nil {
		return bytesBlob(d, item.Content)
	}
	return Blob{Descriptor: d, Open: func(ctx context.Context) (io.ReadCloser, error) {
		content, err := again(ctx)
		if err != nil {
			return nil, err
		}
		if digest.FromBytes(content) != d.Digest {
			return nil, fmt.Errorf("%w: %s", errUnlike, d.Digest)
		}
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}
