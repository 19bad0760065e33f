package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
)

// MaxBeside is the most that is read of what lies beside one manifest, in
// bytes: signatures and attestations together.
const MaxBeside = 256 << 20

// evidence is what lies beside a manifest and says something of it.
type evidence struct {
	in       place
	digest   string
	platform string
	accepted []trust.Accepted
	refused  []refusal
}

// refusal is a signed thing that was not accepted.
type refusal struct {
	// kind is the predicate type, or attest.PredicateSign for a signature, as
	// the thing calls itself; empty where it cannot be read.
	kind string
	err  error
}

// finding begins a finding about the manifest.
func (e *evidence) finding(check string) Finding {
	return Finding{Check: check, Image: e.in.image, Digest: e.digest, Platform: e.platform}
}

// others lists what else of some kind lies there than the accepted thing at
// index used, or than none for -1.
func (e *evidence) others(kind string, used int) []string {
	var list []string
	for i, a := range e.accepted {
		if i != used && kindOf(a) == kind {
			list = append(list, a.String())
		}
	}
	for _, r := range e.refused {
		if r.kind == kind || r.kind == "" && kind == attest.PredicateSign {
			list = append(list, "refused: "+r.err.Error())
		}
	}
	return list
}

// kindOf is the predicate type of what was accepted.
func kindOf(a trust.Accepted) string {
	if a.Statement == nil {
		return attest.PredicateSign
	}
	return a.Statement.PredicateType
}

// gatherer reads what lies beside one manifest.
type gatherer struct {
	*evidence
	manifest publish.Manifest
	// signatures leaves attestations alone where a signature was found.
	signatures bool
	budget     int64
}

// gather reads and verifies everything that lies beside a manifest, in both
// of cosign's forms. With signatures it ends at the first good signature. The
// error is of a repository that could not be asked.
func (c *checker) gather(ctx context.Context, in place, m publish.Manifest, platform string, signatures bool) (*evidence, error) {
	e := &evidence{in: in, digest: m.Digest().String(), platform: platform}
	g := &gatherer{evidence: e, manifest: m, signatures: signatures, budget: MaxBeside}
	subject, err := publish.Hex(m.Digest())
	if err != nil {
		return nil, err
	}
	if err := g.classic(ctx, attest.SignatureTag(subject)); err != nil {
		return nil, err
	}
	if signatures && len(e.accepted) > 0 {
		return e, nil
	}
	if err := g.bundles(ctx); err != nil {
		return nil, err
	}
	if signatures {
		return e, nil
	}
	return e, g.classic(ctx, attest.AttestationTag(subject))
}

// classic reads the manifest under one of cosign's tags.
func (g *gatherer) classic(ctx context.Context, tag string) error {
	kind := ""
	if strings.HasSuffix(tag, ".sig") {
		kind = attest.PredicateSign
	}
	items, err := classicItems(ctx, g.in.repo, tag)
	switch {
	case errors.Is(err, publish.ErrNoTag):
		return nil
	case failed(err):
		g.refuse(kind, err)
		return nil
	case err != nil:
		return err
	}
	for _, item := range items {
		one := trust.Item{Annotations: item.Annotations}
		switch item.MediaType {
		case attest.MediaTypeSimpleSigning:
			one.Form, kind = trust.ClassicSignature, attest.PredicateSign
		case attest.MediaTypeDSSE:
			one.Form, kind = trust.ClassicAttestation, item.Annotations[attest.AnnotationPredicate]
		default:
			continue
		}
		if err := g.check(ctx, one, kind, item.Descriptor); err != nil {
			return err
		}
	}
	return nil
}

// classicItems reads what lies under one of cosign's tags.
func classicItems(ctx context.Context, repo publish.Repository, tag string) ([]attest.Item, error) {
	d, err := repo.Resolve(ctx, tag)
	if err != nil {
		return nil, err
	}
	m, err := repo.Manifest(ctx, d.Digest)
	if errors.Is(err, publish.ErrNoTag) {
		err = fmt.Errorf("%w: %w", publish.ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	items, err := attest.Read(m.Raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", publish.ErrUnreadable, repo.Reference(tag), err)
	}
	return items, nil
}

// bundles reads what refers to the manifest.
func (g *gatherer) bundles(ctx context.Context) error {
	listed, err := g.in.repo.Referrers(ctx, g.manifest.Digest())
	if failed(err) {
		g.refuse("", err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range listed {
		item, kind, err := g.referrer(ctx, d.Digest)
		switch {
		case errors.Is(err, attest.ErrNoBundle):
			continue
		case failed(err):
			g.refuse("", err)
			continue
		case err != nil:
			return err
		}
		if err := g.check(ctx, trust.Item{Form: trust.Bundle}, kind, item); err != nil {
			return err
		}
	}
	return nil
}

// referrer reads which bundle a manifest brings, and of which kind it says
// that it is.
func (g *gatherer) referrer(ctx context.Context, d digest.Digest) (ocispec.Descriptor, string, error) {
	m, err := g.in.repo.Manifest(ctx, d)
	if err != nil {
		return ocispec.Descriptor{}, "", err
	}
	item, err := attest.ReadReferrer(m.Raw, g.manifest.Digest())
	if err != nil {
		return ocispec.Descriptor{}, "", err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return ocispec.Descriptor{}, "", fmt.Errorf("%w: referrer %s: %w", publish.ErrUnreadable, d, err)
	}
	return item.Descriptor, manifest.Annotations[attest.AnnotationBundlePredicate], nil
}

// check reads one signed thing and keeps it as accepted or refused.
func (g *gatherer) check(ctx context.Context, item trust.Item, kind string, d ocispec.Descriptor) error {
	if d.Size > g.budget {
		g.refuse(kind, fmt.Errorf("%s: %d bytes: more than the %d that are read beside one manifest", d.Digest, d.Size, int64(MaxBeside)))
		return nil
	}
	content, err := publish.ReadSmall(ctx, g.in.repo, d)
	if failed(err) {
		g.refuse(kind, err)
		return nil
	}
	if err != nil {
		return err
	}
	g.budget -= int64(len(content))
	item.Content = content
	if kind == "" {
		kind = item.Claimed()
	}
	a, err := g.in.rule.Signers.Check(item, digestOf(g.manifest))
	if err == nil {
		err = g.names(a)
	}
	if err != nil {
		g.refuse(kind, err)
		return nil
	}
	g.accepted = append(g.accepted, a)
	return nil
}

func (g *gatherer) refuse(kind string, err error) {
	g.refused = append(g.refused, refusal{kind, err})
}

// names makes sure that what was signed names this image, so that nobody can
// put one signed image in the place of another. A statement may bind a digest
// alone; then the manifest itself, which the digest is of, must say its name.
func (g *gatherer) names(a trust.Accepted) error {
	named := a.Repository
	if named == "" {
		if named = titleOf(g.manifest); named == "" {
			return nil
		}
	}
	if imageOf(named) != g.in.image {
		return fmt.Errorf("%s: signed as %s, which is another image", a, named)
	}
	return nil
}

// imageOf is the image's own name in what a signature names. Registry and
// path may differ, as after a copy; a signed image under another image's name
// is not what its reader asks for.
func imageOf(repository string) string {
	image := path.Base(repository)
	image, _, _ = strings.Cut(image, "@")
	image, _, _ = strings.Cut(image, ":")
	return image
}
