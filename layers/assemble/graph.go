package assemble

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// run is one invocation: a node for each image of each platform, and what
// they share.
type run struct {
	Options
	nodes []*node // parents before children, platform by platform
	by    map[place]*node

	pool      *layers.Pool
	transfers int           // of an image's blobs at a time, and signatures
	early     fetch.Early   // reads archives while they are downloaded
	testing   chan struct{} // one test at a time
	collect   chan struct{} // bounds the trees that are being collected
	program   string        // identity of this program
	permitted once[struct{}]
	encoder   func() error // says once whether it compresses as the lock wants it
}

type place struct {
	ref      recipes.Ref
	platform recipes.Platform
}

// node is one image of one platform on its way.
type node struct {
	run     *run
	image   *recipes.Image
	locked  *recipes.LockedImage
	parent  *node
	version string
	buildID string
	date    time.Time // of the newest index that it or an ancestor was resolved from
	key     string    // digest of all inputs, the parent's included
	vex     []byte    // OpenVEX document; nil where there is none

	done   chan struct{} // closed when built or failed
	err    error         // why it failed; read after done
	built  *image.Built
	record record // what is kept beside the image
	cached bool
	tested []byte  // predicate of its test; nil where there was none
	handed *handed // where another run made it

	trees once[collected]
	parts once[[]*sbom.Fragment]
	made  sync.Map // trees of the layers packed in this run → their *sbom.Fragment
}

func newRun(o Options) (*run, error) {
	if err := checkOptions(o); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = progress.Discard{}
	}
	transfers := o.Jobs
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
		transfers = max(o.Jobs, publish.DefaultJobs)
	}
	program, err := identity()
	if err != nil {
		return nil, err
	}
	r := &run{
		Options: o, by: make(map[place]*node), program: program, transfers: transfers,
		pool: layers.NewPool(o.Jobs), early: archive.Early(o.Store, o.Jobs), collect: make(chan struct{}, o.Jobs), testing: make(chan struct{}, 1),
		encoder: sync.OnceValue(func() error { return layers.CheckEncoder(o.Compression) }),
	}
	for _, p := range o.Platforms {
		for _, ref := range o.Refs {
			if err := r.add(ref, p); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// add makes the node of an image, whose parent's is there already.
func (r *run) add(ref recipes.Ref, p recipes.Platform) error {
	chain, err := r.Set.Chain(ref, r.Lock.Distro, p)
	if err != nil {
		return err
	}
	locked, err := r.Lock.Chain(chain)
	if err != nil {
		return err
	}
	n := &node{run: r, image: chain[len(chain)-1], locked: &locked[len(locked)-1], date: r.Lock.DateOf(locked), done: make(chan struct{})}
	parentID := ""
	if len(chain) > 1 {
		above := chain[len(chain)-2].Ref
		if n.parent = r.by[place{above, p}]; n.parent == nil {
			return fmt.Errorf("image %s: its parent %s is not among the images to assemble", ref, above)
		}
		parentID = n.parent.buildID
	}
	if n.version, err = r.Lock.VersionOf(n.image, locked); err != nil {
		return err
	}
	if n.buildID, err = n.image.BuildID(r.Lock, parentID, r.extra()...); err != nil {
		return err
	}
	n.key = r.key(n)
	if n.vex, err = n.statements(); err != nil {
		return err
	}
	r.nodes = append(r.nodes, n)
	r.by[place{n.image.Ref, p}] = n
	return nil
}

// extra are the options of this run that change bytes, for the build id.
func (r *run) extra() []string {
	var extra []string
	if r.Compression == layers.Zstd {
		extra = append(extra, "compression "+string(r.Compression))
	}
	if !r.SourceDate.IsZero() {
		extra = append(extra, fmt.Sprintf("source date %d", r.SourceDate.Unix()))
	}
	return extra
}

// key is the digest of everything that an image is made from, this program
// included: whoever has the record of a key need not collect anything.
func (r *run) key(n *node) string {
	inputs := struct {
		Program, Parent, Encoder, Go, Release string
		Format, LayerFormat                   int
		Golden, Recipe                        recipes.Digest
		Artifacts                             []recipes.Artifact
		Date                                  time.Time
		Platform                              recipes.Platform
		Extra                                 []string
	}{
		Program: r.program, Encoder: layers.EncoderID, Golden: layers.EncoderGolden, Go: r.Lock.Go, Release: r.Lock.Release,
		Format: recipes.FormatVersion, LayerFormat: layers.Format, Recipe: n.image.Digest,
		Artifacts: n.locked.Artifacts, Date: n.date.UTC(), Platform: n.image.Platform, Extra: r.extra(),
	}
	if n.parent != nil {
		inputs.Parent = n.parent.key
	}
	h := sha256.New()
	// Strings, numbers and times always have a JSON form.
	_ = json.NewEncoder(h).Encode(inputs)
	return hex.EncodeToString(h.Sum(nil))
}

// compression is that of the layers, by its name.
func (r *run) compression() layers.Compression {
	if r.Compression == "" {
		return layers.Gzip
	}
	return r.Compression
}

// created is the date of the image.
func (n *node) created() time.Time {
	if !n.run.SourceDate.IsZero() {
		return n.run.SourceDate
	}
	return n.date
}

// names lists the repositories that images go to.
func (r *run) names() []string {
	var names []string
	seen := make(map[string]bool)
	for _, ref := range r.Refs {
		if !seen[ref.Name] {
			seen[ref.Name] = true
			names = append(names, ref.Name)
		}
	}
	return names
}

// all builds every node and publishes each image when its platforms and its
// parent are there.
func (r *run) all(ctx context.Context) (Result, error) {
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range r.nodes {
		group.Go(func() error {
			defer close(n.done)
			n.err = n.build(ctx)
			return n.err
		})
	}
	results := make([]Image, len(r.Refs))
	published := make(map[recipes.Ref]chan struct{})
	for i, ref := range r.Refs {
		if r.Rebase != nil && i < len(r.Refs)-1 {
			continue // where it is published it was read
		}
		nodes := r.platforms(ref)
		mine := make(chan struct{})
		before := published[parentOf(nodes[0])]
		published[nodes[0].image.Ref] = mine
		group.Go(func() error {
			defer close(mine)
			var err error
			results[i], err = r.publish(ctx, nodes, before)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Result{}, err
	}
	if r.Rebase != nil {
		results = results[len(results)-1:]
	}
	return Result{Images: results}, nil
}

// platforms are the nodes of one image, in the order of Options.Platforms.
func (r *run) platforms(ref recipes.Ref) []*node {
	var nodes []*node
	for _, p := range r.Platforms {
		for _, n := range r.nodes {
			if n.image.Platform == p && n.image.Is(ref) {
				nodes = append(nodes, n)
			}
		}
	}
	return nodes
}

func parentOf(n *node) recipes.Ref {
	if n.parent == nil {
		return recipes.Ref{}
	}
	return n.parent.image.Ref
}

// wait waits for the node, and gives its error where it failed: the group's
// context may not have ended yet.
func (n *node) wait(ctx context.Context) error {
	if err := wait(ctx, n.done); err != nil {
		return err
	}
	return n.err
}

// wait returns when a channel is closed or the run has failed.
func wait(ctx context.Context, done <-chan struct{}) error {
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return ctx.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
