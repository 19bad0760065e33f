// Package assemble drives the making of images: what is built when, bounded,
// in parallel and in the right order. Every image goes the same way: its
// artefacts are fetched, laid out as trees, packed as layers on its parent's,
// described, signed and published, the tag last. What was made before from the
// same inputs is taken from the store.
package assemble

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/gobin"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// Options say what to assemble, from what, and where it goes.
type Options struct {
	Set       *recipes.Set
	Lock      *recipes.Lock
	Refs      []recipes.Ref      // as Set.Select gives them: ancestors included, parents first
	Platforms []recipes.Platform // one, or several for an image index

	Store   *fetch.Store
	Fetcher *fetch.Fetcher
	Go      gobin.Options // how Go programs are built

	// Compression of layers; the zero value is gzip.
	Compression layers.Compression
	// SourceDate, where it is set, is the one date of everything
	// (SOURCE_DATE_EPOCH); otherwise dates come from the lock.
	SourceDate time.Time

	// From, where it is set, holds the images that another run built with
	// these recipes, lock and options: they are checked and taken from there,
	// and neither Store nor Fetcher is needed.
	From publish.Destination

	// Rebase, where it is set, is the last of Refs as it was published: its
	// content layers are taken over, and its ancestors are made but not
	// published.
	Rebase *Rebase

	// Dest receives the images; nil means that they stay in the store.
	Dest publish.Destination
	// Signer signs images, their SBOMs and their provenance; nil writes none
	// of these, which only a layout folder takes.
	Signer attest.Signer
	// Format is the form of signatures and attestations; the zero value is
	// both forms.
	Format attest.Format
	// Merge keeps the platforms that a tag names and this run does not build.
	Merge bool
	// Recheck looks at all of the images at the destination, also where the
	// last push from this store was of the same: see publish.Unchanged.
	Recheck bool

	// Test, where it is set, is asked before an image of this machine's
	// platform is published; its error keeps the tag where it is.
	Test Tester

	// Jobs bounds what runs at a time; 0 means the number of processors, and at
	// least publish.DefaultJobs for blobs in flight and signatures.
	Jobs     int
	Progress progress.Sink
	// Tool is the version of this program, for SBOMs and provenance.
	Tool string
	// Builder names who runs it, as provenance.BuilderID gives it; empty is
	// provenance.Local.
	Builder string
}

// Result is what a run made, images in the order of Options.Refs.
type Result struct {
	Images []Image
}

// Image is one image of all its platforms.
type Image struct {
	Ref       recipes.Ref
	Summary   string
	Tags      []string // the first never moves
	Reference string   // where it was published, with the first tag
	Digest    string   // sha256:… of the index, or of the only platform's manifest
	KeyID     string   // empty where nothing was signed
	Budget    int64    // bytes; 0 means none
	Platforms []Platform
	// Written counts the blobs and manifests that the destination did not
	// have, signatures included.
	Written int
	// Moved are the tags that name something else than before.
	Moved []string
}

// Platform is one image of one platform.
type Platform struct {
	Platform     recipes.Platform
	Digest       recipes.Digest
	Version      string
	Own          int   // layers that the image adds
	Inherited    int   // layers of its ancestors
	Size         int64 // compressed layers, the inherited ones included, in bytes
	Uncompressed int64
	Cached       bool // nothing was collected or packed for it
}

// Run assembles images. The first error ends the whole run; what was
// published by then is complete.
func Run(ctx context.Context, o Options) (Result, error) {
	r, err := newRun(o)
	if err != nil {
		return Result{}, err
	}
	if err := r.checkVEX(); err != nil {
		return Result{}, err
	}
	// Where nothing is to be built, the destination is asked for permission
	// once there is something to write.
	if !r.allCached() {
		if err := r.permit(ctx); err != nil {
			return Result{}, err
		}
		return r.build(ctx)
	}
	return r.all(ctx)
}

// BudgetError says that an image weighs more than its recipe allows.
type BudgetError struct {
	Image    recipes.Ref
	Platform recipes.Platform
	Size     int64
	Budget   int64
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("image %s for %s: its compressed layers weigh %.1f MB, over its budget of %.1f MB: drop what it does not need, or raise budget in its recipe",
		e.Image, e.Platform, float64(e.Size)/1e6, float64(e.Budget)/1e6)
}

// ErrEncoder says that the lock was made for another compressor, or for layers
// that are written by other rules.
var ErrEncoder = errors.New("the lock names another encoder than this program has")

func checkOptions(o Options) error {
	switch {
	case o.Set == nil || o.Store == nil && o.From == nil || o.Lock == nil:
		return errors.New("assemble: recipes, lock or store are missing")
	case len(o.Refs) == 0 || len(o.Platforms) == 0:
		return errors.New("assemble: no images or no platforms")
	case o.Lock.EncoderGolden != layers.EncoderGolden:
		return fmt.Errorf("%w: %s (sha256 %s), not %s: use the release that made the lock, or `shudl-assemble lock --refresh`",
			ErrEncoder, o.Lock.Encoder, o.Lock.EncoderGolden, layers.EncoderID)
	case o.Lock.Layers() != layers.Format:
		return fmt.Errorf("%w: layers of format %d, not %d: use the release that made the lock, or `shudl-assemble lock --refresh`",
			ErrEncoder, o.Lock.Layers(), layers.Format)
	}
	return nil
}
