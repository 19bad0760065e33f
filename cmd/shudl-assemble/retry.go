package main

import (
	"context"
	"errors"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/resolve"
)

// withLock does work with a lock. Where a locked package has left every
// mirror, the distro is resolved anew, which is told and written, and the work
// is done again; --locked forbids that.
func (w *work) withLock(ctx context.Context, lock *recipes.Lock, do func(assemble.Options) error) error {
	o, err := w.options(lock)
	if err != nil {
		return err
	}
	err = w.healed(func() error { return do(o) })
	if !resolve.Vanished(err) || w.app.locked || w.app.offline {
		return err
	}
	w.app.sink.Say("warning: %v\nwhat is locked is gone, and is resolved anew", err)
	w.old = lock
	fresh := w.resolveOptions()
	fresh.Fetcher, fresh.Refresh = w.fetcher(nil), true
	result, err := resolve.Lock(ctx, w.set, lock, w.distro, fresh)
	if err != nil {
		return err
	}
	if err := w.write(result); err != nil {
		return err
	}
	if o, err = w.options(result.Lock); err != nil {
		return err
	}
	return w.healed(func() error { return do(o) })
}

// healed does work again where it met an object of the store that did not hold
// what its name says: that one has been removed, and is now fetched or made
// anew. An object that stays corrupt is an error.
func (w *work) healed(do func() error) error {
	met := map[recipes.Digest]bool{}
	for {
		err := do()
		var corrupt *fetch.CorruptError
		if !errors.As(err, &corrupt) || met[corrupt.Want] {
			return err
		}
		met[corrupt.Want] = true
		w.app.sink.Say("%v: it is made again", corrupt)
	}
}
