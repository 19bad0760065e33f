package publish

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// holding is what this publication has said in places where others write too:
// cosign's tags and the lists of referrers, each read, changed and written
// back. Another push at the same time may take it away again.
type holding struct {
	classic   []heldItems
	referrers []Manifest
	// wrote says that anything was written there.
	wrote bool
}

type heldItems struct {
	tag   string
	items []attest.Item
}

// holdTries is how often what another push took away is put back.
const holdTries = 8

// hold looks whether all that was said is still there, and says again what is
// not. Whoever writes last looks after that and finds all of its own, so of
// two pushes at once at least one leaves a whole image.
func (p *publication) hold(ctx context.Context) error {
	if !p.held.wrote {
		return nil
	}
	for range holdTries {
		lost, err := p.restore(ctx)
		if err != nil || !lost {
			return err
		}
	}
	return p.takenAway()
}

func (p *publication) takenAway() error {
	return fmt.Errorf("%w: what is signed here of %s is taken away again and again: does another push write to it at the same time? Push again after it",
		ErrReadBack, p.repo.Name())
}

// restore writes again what is missing; it reports whether anything was.
func (p *publication) restore(ctx context.Context) (lost bool, err error) {
	for _, held := range p.held.classic {
		tag, err := readClassic(ctx, p.repo, held.tag)
		if err != nil {
			return false, err
		}
		if tag.digest != "" && attest.Holds(tag.items, held.items) {
			continue
		}
		lost = true
		if err := p.mergeClassic(ctx, tag, held.items); err != nil {
			return false, err
		}
	}
	bySubject := map[digest.Digest][]Manifest{}
	for _, m := range p.held.referrers {
		subject, err := referrerSubject(m)
		if err != nil {
			return false, err
		}
		bySubject[subject] = append(bySubject[subject], m)
	}
	for subject, ms := range bySubject {
		there, err := p.repo.Referrers(ctx, subject)
		if err != nil {
			return false, err
		}
		ms = slices.DeleteFunc(ms, func(m Manifest) bool { return lists(there, m.Digest()) })
		if len(ms) == 0 {
			continue
		}
		lost = true
		if _, err := p.repo.PutReferrers(ctx, ms...); err != nil {
			return false, err
		}
	}
	return lost, nil
}
