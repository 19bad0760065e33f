package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// DefaultJobs is how many blobs are in flight at a time. They wait for a network
// or a disk, and so need not be as few as the processors.
const DefaultJobs = 4

// Options says how a release is published.
type Options struct {
	// Signer signs manifests and attestations. Without one nothing is signed,
	// which only a layout takes: attestations lie there as unsigned statements.
	Signer attest.Signer
	// Format is the form of what is signed; the zero value is both forms.
	Format attest.Format
	// Merge keeps the platforms that a tag has and the release does not.
	Merge bool
	// Jobs bounds the blobs in flight, and the signatures being made; zero
	// means DefaultJobs.
	Jobs     int
	Progress progress.Sink
	// Memory, where it is set, remembers what was signed, so that the next
	// push of the same asks for no predicate and signs nothing.
	Memory Memory
	// Permit, where it is set, is asked before anything is written.
	Permit func(ctx context.Context) error
	// Recheck looks at everything that the destination has of the release, also
	// right after a push of the same: see Unchanged.
	Recheck bool
}

// Result says what a publication did.
type Result struct {
	Name      string
	Reference string // with the first tag
	Digest    digest.Digest
	Tags      []string
	KeyID     string // who signed, as the signer's ID; empty where nothing was signed
	// Blobs and Manifests count what was written, signatures included; both
	// are zero where everything was there already and no tag moved.
	Blobs, Manifests int
	Moved            []string // tags that now name another manifest, or are new
}

// Publish brings one release to a destination: blobs, image manifests by
// digest, attestations and signatures, the index and its signature, all read
// back; then the tags. A failure at any point leaves the old tags, and the
// next publication completes what is missing.
func Publish(ctx context.Context, dest Destination, r Release, o Options) (Result, error) {
	p, err := newPublication(dest, r, o)
	if err != nil {
		return Result{}, err
	}
	if o.Permit != nil {
		if err := o.Permit(ctx); err != nil {
			return Result{}, err
		}
	}
	result, err := p.whole(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("publish %s to %s: %w", r.Name, dest, err)
	}
	return result, nil
}

// whole publishes between two receipts: the last one ends, and a new one
// begins.
func (p *publication) whole(ctx context.Context) (Result, error) {
	if err := p.void(); err != nil {
		return Result{}, err
	}
	p.readServed()
	result, err := p.run(ctx)
	if err != nil {
		return Result{}, err
	}
	p.kept("a receipt of this push", p.keepReceipt(ctx))
	return result, nil
}

// kept reports what could not be remembered: it costs the next push time, and
// fails none.
func (p *publication) kept(what string, err error) {
	if err != nil {
		p.options.Progress.Say("%s: %s is not kept: %v", p.release.Name, what, err)
	}
}

type publication struct {
	release Release
	options Options
	repo    Repository
	mu      sync.Mutex // guards result, written and held while both lists are written
	result  Result
	// current is what the tags name before they move.
	current map[string]digest.Digest
	// written is read back before a tag moves.
	written readBack
	held    holding
	// sure are blobs that are there and in written where they belong there, and
	// fresh are manifests that were not there before.
	sure, fresh map[digest.Digest]bool
	// served are blobs that an earlier push read back, with their marks.
	served map[digest.Digest]string
	// recalled makes the content of items that are known from an earlier push,
	// by digest.
	recalled map[digest.Digest]func(ctx context.Context) ([]byte, error)
	// voided marks the receipts that this push has voided.
	voided string
	// stands and named are what a folder's receipt vouches for.
	stands map[digest.Digest]bool
	named  map[string]digest.Digest
}

type readBack struct {
	manifests []Manifest
	blobs     []Blob
}

func newPublication(dest Destination, r Release, o Options) (*publication, error) {
	if len(r.Images) == 0 || len(r.Tags) == 0 {
		return nil, fmt.Errorf("publish %s: no images or no tags", r.Name)
	}
	if len(r.Images) > 1 && r.Index == nil {
		return nil, fmt.Errorf("publish %s: several platforms need an index", r.Name)
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs
	}
	if o.Progress == nil {
		o.Progress = progress.Discard{}
	}
	p := &publication{release: r, options: o, result: Result{Name: r.Name, Tags: r.Tags},
		recalled: map[digest.Digest]func(ctx context.Context) ([]byte, error){}}
	if o.Signer == nil {
		if _, layout := dest.(*Layout); !layout {
			return nil, fmt.Errorf("publish %s to %s: %w: only a layout folder takes an unsigned image", r.Name, dest, attest.ErrKeyRequired)
		}
	} else {
		p.result.KeyID = o.Signer.ID()
	}
	var err error
	p.repo, err = writable(dest, r.Name)
	return p, err
}

// writable is the repository of an image that will be written to.
func writable(dest Destination, image string) (Repository, error) {
	repo, err := dest.Repository(image)
	if w, ok := repo.(interface{ toWrite() }); ok {
		w.toWrite()
	}
	return repo, err
}

// swapTries is how often a tag is looked at anew that others move.
const swapTries = 5

// isNew says whether a registry lacked a manifest until this push wrote it. Then
// nothing is said of it there yet, unless another push does so right now, which
// every writer of a list finds out when it writes.
func (p *publication) isNew(subject digest.Digest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fresh[subject] && p.inRegistry()
}

// run publishes, and starts over where somebody else moves a tag meanwhile:
// what a tag may name, and what is kept of it, depends on what it names. The
// blobs and manifests are there by then.
func (p *publication) run(ctx context.Context) (Result, error) {
	for try := 1; ; try++ {
		result, err := p.once(ctx)
		// One who lost a tag after moving it has nothing to add to it, unless
		// the platforms of both belong there.
		lost := errors.Is(err, ErrReadBack) && !p.options.Merge
		if !errors.Is(err, ErrChanged) || lost || try == swapTries {
			return result, err
		}
		p.result.Moved, p.written, p.sure, p.fresh = nil, readBack{}, nil, nil
	}
}

func (p *publication) once(ctx context.Context) (Result, error) {
	top, err := p.checkTags(ctx)
	if err != nil {
		return Result{}, err
	}
	p.result.Digest = top.Digest()
	p.result.Reference = p.repo.Reference(p.release.Tags[0])
	for _, img := range p.release.Images {
		if err := p.image(ctx, img); err != nil {
			return Result{}, fmt.Errorf("%s: %w", img.Platform, err)
		}
	}
	if top.MediaType == ocispec.MediaTypeImageIndex {
		if err := p.manifest(ctx, top); err != nil {
			return Result{}, err
		}
		if err := p.describe(ctx, top, nil); err != nil {
			return Result{}, err
		}
	}
	if err := p.repo.ReadBack(ctx, p.written.manifests, p.written.blobs); err != nil {
		return Result{}, err
	}
	p.kept("what was read back", p.keepServed())
	if err := p.hold(ctx); err != nil {
		return Result{}, err
	}
	if len(p.result.Moved) > 0 {
		if err := p.swap(ctx, top); err != nil {
			return Result{}, err
		}
	}
	return p.result, p.hold(ctx)
}

func imageManifest(img Image) Manifest {
	return Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: img.Manifest}
}

// image writes one platform and all that is said of it.
func (p *publication) image(ctx context.Context, img Image) error {
	manifest := imageManifest(img)
	missing, err := p.lacks(ctx, manifest)
	if err != nil {
		return err
	}
	if err := p.blobs(ctx, p.newConfig(img, missing)); err != nil {
		return err
	}
	if err := p.putManifest(ctx, manifest, missing); err != nil {
		return err
	}
	if p.options.Signer == nil {
		return p.unsigned(ctx, manifest, img.Attestations)
	}
	return p.describe(ctx, manifest, img.Attestations)
}

// blobs writes those that the repository does not have: it is asked for all of
// them first, unless this publication has asked before.
func (p *publication) blobs(ctx context.Context, blobs []Blob) error {
	blobs = p.unsure(blobs)
	missing, err := p.missing(ctx, blobs)
	if err != nil {
		return err
	}
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(p.options.Jobs)
	for i, blob := range blobs {
		if missing[i] {
			group.Go(func() error { return p.put(writing, blob) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, blob := range blobs {
		p.stand(blob.Digest)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sure == nil {
		p.sure = map[digest.Digest]bool{}
	}
	for i, blob := range blobs {
		p.sure[blob.Digest] = true
		if missing[i] {
			p.result.Blobs++
		}
		// With a tag that does not move, what is there was read back when
		// the tag came to be, and is only read again where that is asked for.
		if missing[i] || p.options.Recheck || len(p.result.Moved) > 0 && !p.wasServed(blob.Digest) {
			p.written.blobs = append(p.written.blobs, blob)
		}
	}
	return nil
}

// unsure are the blobs that were not looked for yet, each once.
func (p *publication) unsure(blobs []Blob) []Blob {
	p.mu.Lock()
	defer p.mu.Unlock()
	var unsure []Blob
	seen := map[digest.Digest]bool{}
	for _, b := range blobs {
		if !seen[b.Digest] && !p.sure[b.Digest] {
			unsure = append(unsure, b)
		}
		seen[b.Digest] = true
	}
	return unsure
}

// missing says of each blob whether the repository lacks it.
func (p *publication) missing(ctx context.Context, blobs []Blob) ([]bool, error) {
	missing := make([]bool, len(blobs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for i, blob := range blobs {
		if blob.fresh {
			missing[i] = true
			continue
		}
		group.Go(func() error {
			has, err := p.repo.Has(ctx, blob.Descriptor)
			missing[i] = err == nil && !has
			return err
		})
	}
	return missing, group.Wait()
}

func (p *publication) put(ctx context.Context, blob Blob) (err error) {
	task := p.options.Progress.Start("push", p.release.Name+" "+short(blob.Digest))
	task.Total(blob.Size)
	defer func() { task.Done(err) }()
	open := blob.Open
	blob.Open = func(ctx context.Context) (rc reader, err error) { return counted(ctx, open, task) }
	return p.repo.PutBlob(ctx, blob)
}

// newConfig gives an image's blobs. A config names all layers and is named by
// one manifest: a registry that lacks this is not asked for it.
func (p *publication) newConfig(img Image, missing bool) []Blob {
	if !missing || !p.inRegistry() {
		return img.Blobs
	}
	blobs := slices.Clone(img.Blobs)
	for i := range blobs {
		if blobs[i].MediaType == ocispec.MediaTypeImageConfig {
			blobs[i].fresh = true
		}
	}
	return blobs
}

// manifest writes a manifest that is not there.
func (p *publication) manifest(ctx context.Context, m Manifest) error {
	missing, err := p.lacks(ctx, m)
	if err != nil {
		return err
	}
	return p.putManifest(ctx, m, missing)
}

// lacks says whether a manifest is not there.
func (p *publication) lacks(ctx context.Context, m Manifest) (bool, error) {
	_, err := p.repo.Manifest(ctx, m.Digest())
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return true, nil
	}
	return false, err
}

// putManifest writes a manifest where it is missing.
func (p *publication) putManifest(ctx context.Context, m Manifest, missing bool) error {
	if missing {
		if err := p.repo.PutManifest(ctx, m); err != nil {
			return err
		}
	}
	p.stand(m.Digest())
	p.mu.Lock()
	defer p.mu.Unlock()
	if missing {
		p.result.Manifests++
		if p.fresh == nil {
			p.fresh = map[digest.Digest]bool{}
		}
		p.fresh[m.Digest()] = true
	}
	if missing || len(p.result.Moved) > 0 {
		p.written.manifests = append(p.written.manifests, m)
	}
	return nil
}

func short(d digest.Digest) string {
	if h := d.Encoded(); len(h) > 12 {
		return h[:12]
	}
	return d.String()
}
