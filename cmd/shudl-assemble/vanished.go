package main

import (
	"context"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/recipes"
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
	err = do(o)
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
	return do(o)
}
