package assemble

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
)

// claim is one kind of what is said of an image.
type claim struct {
	kind string
	// make gives the predicate's JSON.
	make func(ctx context.Context) ([]byte, error)
	// key stands for these bytes.
	key func() (string, error)
	// check holds the predicate of another run to what this run knows of the
	// image without having made it.
	check func(data []byte) error
}

// claims are all that is said of the image: what it holds, how it came to be,
// and what is known of vulnerabilities in it.
func (n *node) claims() []claim {
	list := []claim{
		{attest.PredicateSPDX, n.spdx, n.spdxKey, n.checkSPDX},
		{attest.PredicateCycloneDX, n.cyclonedx, n.spdxKey, n.checkCycloneDX},
		{attest.PredicateSLSA, n.provenance, n.provenanceKey, n.checkProvenance},
	}
	if n.vex != nil {
		list = append(list, claim{
			attest.PredicateVEX,
			func(context.Context) ([]byte, error) { return n.vex, nil },
			func() (string, error) { return bytesKey(n.vex), nil },
			func(data []byte) error { return equal(data, n.vex) },
		})
	}
	return list
}

// attestations are what is signed with the image: made here, or taken from
// the run that made it.
func (n *node) attestations() ([]publish.Attestation, error) {
	var list []publish.Attestation
	for _, p := range n.claims() {
		a := publish.Attestation{PredicateType: p.kind, Predicate: p.make}
		if n.handed != nil {
			a.Predicate = func(ctx context.Context) ([]byte, error) { return n.statement(ctx, p.kind) }
		} else {
			a.Compact = p.kind == attest.PredicateSPDX || p.kind == attest.PredicateCycloneDX
			var err error
			if a.Key, err = p.key(); err != nil {
				return nil, err
			}
		}
		list = append(list, a)
	}
	return append(list, n.testResult()...), nil
}

// bytesKey stands for bytes that are at hand.
func bytesKey(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (n *node) provenanceKey() (string, error) {
	data, err := n.predicate().Encode()
	return bytesKey(data), err
}

// checkStatements holds what another run says of the image to it: neither more
// nor less than this run would say.
func (n *node) checkStatements(ctx context.Context) error {
	wrong := func(err error) error {
		return fmt.Errorf("image %s for %s: %w: %w", n.image.Ref, n.image.Platform, ErrStatement, err)
	}
	said, err := publish.Unsigned(ctx, n.handed.repo, n.handed.manifest)
	if errors.Is(err, publish.ErrNoTag) {
		return wrong(fmt.Errorf("%w: `shudl-assemble build` writes them beside the image", err))
	}
	if err != nil {
		return wrong(err)
	}
	n.handed.statements = said
	known := map[string]bool{}
	for _, p := range n.claims() {
		known[p.kind] = true
		data, err := n.statement(ctx, p.kind)
		if err == nil {
			err = p.check(data)
		}
		if err != nil {
			return wrong(fmt.Errorf("%s: %w", p.kind, err))
		}
	}
	for kind := range said {
		if !known[kind] {
			return wrong(fmt.Errorf("%s is a statement that this version does not make", kind))
		}
	}
	return nil
}

// statement reads a predicate that another run made, which must speak of the
// image's manifest.
func (n *node) statement(ctx context.Context, kind string) ([]byte, error) {
	item, ok := n.handed.statements[kind]
	if !ok {
		return nil, errors.New("there is none")
	}
	s, err := publish.OpenUnsigned(ctx, n.handed.repo, item, n.handed.manifest)
	if err != nil {
		return nil, err
	}
	return s.Predicate, nil
}

// equal holds a predicate to the one that this run would make.
func equal(have, want []byte) error {
	if bytes.Equal(have, want) {
		return nil
	}
	return fmt.Errorf("not what recipe, lock and options make: %s", image.Difference(have, want))
}

// checkProvenance holds all of it to what this run would say, the builder too:
// whom the other run says that it was is only as good as its word.
func (n *node) checkProvenance(data []byte) error {
	want, err := n.predicate().Encode()
	if err != nil {
		return err
	}
	p, err := provenance.Parse(data)
	if err != nil {
		return err
	}
	if id, own := p.RunDetails.Builder.ID, n.predicate().RunDetails.Builder.ID; id != own {
		return fmt.Errorf("the builder is %s, and this job is %s: build and publish in the jobs of one workflow", id, own)
	}
	return equal(data, want)
}

func (n *node) checkSPDX(data []byte) error {
	want := sbom.Expected{Digest: n.built.Digest}
	if n.parent != nil {
		want.Base = n.parent.built.Digest
	}
	for _, at := range n.chain() {
		want.Artifacts = append(want.Artifacts, at.locked.Artifacts...)
	}
	n.handed.spdx = data
	return sbom.Check(data, want)
}

// checkCycloneDX holds it to the SPDX document, which was checked before: both
// say the same.
func (n *node) checkCycloneDX(data []byte) error {
	want, err := sbom.CycloneDX(n.handed.spdx)
	if err != nil {
		return err
	}
	return equal(data, want)
}
