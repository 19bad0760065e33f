// Package resolve fills the lock: it reads the indexes of a distro, finds what
// every image adds to its parent, and writes down each artefact with its
// sha256. One snapshot of the indexes serves all images of a distro.
package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// Options say what a lock has to hold and how it may be filled.
type Options struct {
	Fetcher *fetch.Fetcher
	// Kept fetches packages that stay as they are locked, which the mirrors of
	// today's indexes may have dropped; nil is Fetcher.
	Kept *fetch.Fetcher
	// Images must be locked, with their ancestors (as Set.Select gives
	// them); nil means all that are made for the distro.
	Images []recipes.Ref
	// Platforms must be locked; nil means all.
	Platforms []recipes.Platform
	// Release is the branch or suite of the distro; "" is that of the lock,
	// or DefaultRelease where there is none.
	Release string
	// Keyring is a folder with more public keys; "" is none.
	Keyring string
	// Encoder and EncoderGolden name the compressor, LayerFormat the rules of
	// layers and Go the Go release (go1.26.8) that images are made with. The
	// zero value leaves what the lock says.
	Encoder       string
	EncoderGolden recipes.Digest
	LayerFormat   int
	Go            string
	// Exclude is what Packages leaves out.
	Exclude []recipes.Exclude
	// Locked refuses any change; Refresh resolves everything anew.
	Locked, Refresh bool
	// Only limits Refresh to these images. What stands on them is kept, and
	// held to what they then are: the error is a *StandsError where that
	// lacks something.
	Only []recipes.Ref
	// Now is the time that signatures are checked at; zero is the clock's.
	Now time.Time
	// Jobs bounds how many artefacts are looked at at once; 0 is 8.
	Jobs int
	// Progress hears what happens; nil is nobody.
	Progress progress.Sink
}

// DefaultRelease is the branch or suite that images are made from.
func DefaultRelease(d recipes.Distro) string {
	if d == recipes.Alpine {
		return "v3.24"
	}
	return "trixie"
}

// branch is the branch or suite that a lock was resolved from; "" where it
// names none.
func branch(l *recipes.Lock) string {
	if l == nil {
		return ""
	}
	for _, ix := range l.Indexes {
		folders := strings.Split(ix.Path, "/")
		switch {
		case ix.Archive == fetch.Alpine:
			return folders[0] // v3.24/main/…
		case ix.Archive == fetch.Debian && len(folders) > 1:
			return folders[1] // dists/trixie/…
		}
	}
	return ""
}

// OutdatedError says that a lock would have to change, and must not.
type OutdatedError struct {
	Distro  recipes.Distro
	Reasons []string
}

// Error names what is out of date.
func (e *OutdatedError) Error() string {
	return fmt.Sprintf("the lock of %s is out of date, and --locked forbids a change:\n  %s\nrun `shudl-assemble lock --distro %s`",
		e.Distro, strings.Join(e.Reasons, "\n  "), e.Distro)
}

// Result is a lock and what is new in it.
type Result struct {
	Lock *recipes.Lock
	// Changed says that Lock is not the old one and has to be written.
	Changed bool
	// Changes are the artefacts that moved.
	Changes []recipes.Change
	// Files belong into the folder of recipes, by their path below it: the
	// generated modules of Go programs whose recipe has none yet.
	Files map[string][]byte
}

// Lock gives a lock that holds the images of the options: old itself where
// nothing is missing, else a new one with what changed. Old may be nil.
// What is missing is resolved against the indexes that old was resolved from;
// where these are gone, everything that old holds is resolved anew.
func Lock(ctx context.Context, set *recipes.Set, old *recipes.Lock, d recipes.Distro, o Options) (*Result, error) {
	o, err := o.complete(set, old, d)
	if err != nil {
		return nil, err
	}
	job, err := plan(set, old, d, o)
	if err != nil {
		return nil, err
	}
	if len(job.reasons) == 0 {
		return &Result{Lock: old}, nil
	}
	if o.Locked {
		return nil, &OutdatedError{d, job.reasons}
	}
	l, err := job.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", d, err)
	}
	return &Result{Lock: l, Changed: true, Changes: recipes.Diff(old, l), Files: job.files}, nil
}

// complete fills in defaults.
func (o Options) complete(set *recipes.Set, old *recipes.Lock, d recipes.Distro) (Options, error) {
	var err error
	if o.Images == nil {
		if o.Images, err = set.Select(nil, true, d); err != nil {
			return o, err
		}
	}
	if o.Platforms == nil {
		o.Platforms = recipes.Platforms()
	}
	if o.Release == "" {
		o.Release = cmp.Or(branch(old), DefaultRelease(d))
	}
	if o.Kept == nil {
		o.Kept = o.Fetcher
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Jobs <= 0 {
		o.Jobs = 8
	}
	if o.Progress == nil {
		o.Progress = progress.Discard{}
	}
	return o, nil
}

// gone says that a locked index cannot be had any more.
func gone(err error) bool {
	var mirror *fetch.MirrorError
	return errors.As(err, &mirror) && mirror.Gone() || errors.Is(err, fetch.ErrOffline)
}

// Vanished says that an error is about a locked package that every mirror
// answers not to have any more: another resolution may name one that is there.
func Vanished(err error) bool {
	var mirror *fetch.MirrorError
	if !errors.As(err, &mirror) || !mirror.NotFound() {
		return false
	}
	return slices.Contains([]string{fetch.Alpine, fetch.Debian, fetch.DebianSecurity}, mirror.Archive)
}
