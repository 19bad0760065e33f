package publish

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

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

// restore writes again what is missing; it reports whether anything was. All
// lists are looked at side by side, as others would read them now.
func (p *publication) restore(ctx context.Context) (bool, error) {
	there := p.repo
	if registry, ok := p.repo.(*registryRepository); ok {
		var err error
		if there, err = registry.afresh(ctx); err != nil {
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
	var lost atomic.Bool
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, held := range p.held.classic {
		group.Go(func() error {
			tag, err := readClassic(ctx, there, held.tag)
			if err != nil || tag.digest != "" && attest.Holds(tag.items, held.items) {
				return err
			}
			lost.Store(true)
			return p.mergeClassic(ctx, tag, held.items)
		})
	}
	for subject, ms := range bySubject {
		group.Go(func() error {
			listed, err := there.Referrers(ctx, subject)
			if err != nil {
				return err
			}
			ms = slices.DeleteFunc(ms, func(m Manifest) bool { return lists(listed, m.Digest()) })
			if len(ms) == 0 {
				return nil
			}
			lost.Store(true)
			_, err = p.repo.PutReferrers(ctx, ms...)
			return err
		})
	}
	err := group.Wait()
	return lost.Load(), err
}
