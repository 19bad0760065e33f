package assemble

import (
	"context"
	"encoding/json"
	"math"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/collect"
)

// imageRecord is the kind of the store's records from image keys to images.
const imageRecord = "image"

// record is what the store keeps of an image that was built.
type record struct {
	Own     []image.Named `json:"own"`
	Dropped []dropped     `json:"dropped,omitempty"`
}

// dropped is what a recipe left out of one layer.
type dropped struct {
	Layer string `json:"layer"`
	archive.Dropped
}

// collected is an image as trees: its layers, and the merged tree on which
// children lie.
type collected struct {
	layers []tree
	top    *rootfs.Tree
}

type tree struct {
	name    string
	tree    *rootfs.Tree
	dropped []archive.Dropped
}

// build makes the image: from the store where all its inputs are the same,
// else from its artefacts.
func (n *node) build(ctx context.Context) error {
	if n.run.From != nil {
		return n.load(ctx)
	}
	if n.run.Rebase != nil && n.last() {
		return n.rebase(ctx)
	}
	if n.cached = n.cached || n.lookup(); !n.cached {
		if err := n.pack(ctx, n.layer); err != nil {
			return err
		}
	}
	if err := n.join(ctx); err != nil {
		return err
	}
	n.tell("what the image is made of", n.keep())
	return nil
}

// tell reports what could not be remembered of work that is done: it costs the
// next build time, and fails none.
func (n *node) tell(what string, err error) {
	if err != nil {
		n.run.Progress.Say("%s: %s is not kept: %v", n.image.Ref, what, err)
	}
}

// join appends the image's layers to its parent's.
func (n *node) join(ctx context.Context) error {
	var parent *image.Built
	if n.parent != nil {
		if err := n.parent.wait(ctx); err != nil {
			return err
		}
		parent = n.parent.built
	}
	var err error
	n.built, err = image.Build(image.Input{
		Image: n.image, Parent: parent, Layers: n.record.Own,
		Version: n.version, BuildID: n.buildID, Created: n.created(),
	})
	if err != nil {
		return err
	}
	return n.withinBudget()
}

// allCached says whether nothing of the run has to be collected or packed, and
// nothing to be tested.
func (r *run) allCached() bool {
	if r.From != nil || r.Test != nil || r.Rebase != nil {
		return false
	}
	for _, n := range r.nodes {
		if n.cached = n.lookup(); !n.cached {
			return false
		}
	}
	return true
}

// permit asks once for permission to write to the destination.
func (r *run) permit(ctx context.Context) error {
	if r.Dest == nil {
		return nil
	}
	names := r.names()
	if r.Rebase != nil {
		names = names[len(names)-1:] // ancestors are not published
	}
	_, err := r.permitted.do(func() (struct{}, error) { return struct{}{}, r.Dest.Check(ctx, names) })
	return err
}

// openKey opens the key that signs, where it is not open yet: that takes a
// tenth of a second or two.
func (r *run) openKey() error {
	if key, ok := r.Signer.(interface{ Open() error }); ok {
		return key.Open()
	}
	return nil
}

// Where images are made, the heap may grow by gcPercent over what is in use, in
// per cent, and gcBallast counts as in use. With the usual doubling, the chunks
// that are compressed are counted twice: Spark and Trino peak at 212 MB with 60
// per cent, at 201 with 40. A small percentage alone has a small heap collected
// every few milliseconds: 15 times in a build of 150 MB that takes 1.3 s, 7 times
// with the ballast. Nobody touches it: on a heap that is fresh it is address space
// and no memory.
const (
	gcPercent = 25
	gcBallast = 32 << 20 // in bytes
)

// sparingly collects garbage as above until the function is called that it gives.
// Where the user has set a limit (GOMEMLIMIT), the ballast would count.
func sparingly() (restore func()) {
	was := debug.SetGCPercent(gcPercent)
	var ballast []byte
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		ballast = make([]byte, gcBallast)
	}
	return func() {
		debug.SetGCPercent(was)
		runtime.KeepAlive(ballast)
	}
}

// build makes and publishes all images while the key is being opened: where it
// does not open, nothing was written yet.
func (r *run) build(ctx context.Context) (result Result, err error) {
	defer sparingly()()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(r.openKey)
	group.Go(func() (err error) {
		result, err = r.all(ctx)
		return err
	})
	return result, group.Wait()
}

func (n *node) withinBudget() error {
	if size := n.built.Size(); n.image.Budget > 0 && size > n.image.Budget {
		return &BudgetError{n.image.Ref, n.image.Platform, size, n.image.Budget}
	}
	return nil
}

// lookup takes the layers from the store, where they were packed from the
// same inputs. Blobs are not read here: whoever sends one hashes it again.
func (n *node) lookup() bool {
	data, ok := n.run.Store.Record(imageRecord, n.key)
	if !ok {
		return false
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return false
	}
	for _, l := range r.Own {
		if !l.Blob.InStore(n.run.Store) {
			return false
		}
	}
	// The artefacts are used with what was made of them: the next change needs
	// them again, and mirrors do not keep them for ever.
	for _, a := range n.locked.Artifacts {
		n.run.Store.Has(a.SHA256)
	}
	n.record = r
	return true
}

// keep remembers the image's layers under its key.
func (n *node) keep() error {
	if n.cached {
		return nil
	}
	data, err := json.Marshal(n.record)
	if err != nil {
		return err
	}
	return n.run.Store.SetRecord(imageRecord, n.key, data)
}

// packing gives the blob of one layer.
type packing func(ctx context.Context, name string, entries []rootfs.Entry) (layers.Blob, error)

// pack collects the image and packs every layer that holds something.
func (n *node) pack(ctx context.Context, layer packing) error {
	c, err := n.collectedAndSound(ctx)
	if err != nil {
		return err
	}
	blobs := make([]*layers.Blob, len(c.layers))
	group, ctx := errgroup.WithContext(ctx)
	for i, t := range c.layers {
		group.Go(func() error {
			entries := t.tree.Own()
			if len(entries) == 0 {
				return nil
			}
			b, err := layer(ctx, t.name, entries)
			blobs[i] = &b
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, t := range c.layers {
		if blobs[i] != nil {
			n.record.Own = append(n.record.Own, image.Named{Name: t.name, Blob: *blobs[i]})
		}
		for _, d := range t.dropped {
			n.record.Dropped = append(n.record.Dropped, dropped{t.name, d})
		}
	}
	return nil
}

// collectedAndSound collects the image while the compressor is looked at.
func (n *node) collectedAndSound(ctx context.Context) (c collected, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(n.run.encoder)
	group.Go(func() (err error) {
		c, err = n.collected(ctx)
		return err
	})
	return c, group.Wait()
}

// layer packs one layer, unless the same entries were packed before.
func (n *node) layer(ctx context.Context, name string, entries []rootfs.Entry) (layers.Blob, error) {
	r := n.run
	key := n.layerKey(entries)
	if b, ok := layers.Cached(r.Store, key); ok {
		return b, nil
	}
	var b layers.Blob
	keep := func(layers.Blob) error { return nil }
	group, both := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		b, err = layers.Write(both, r.Store, entries, n.layerOptions(name))
		return err
	})
	if r.Dest != nil && sizeOf(entries) <= sketchMost { // who publishes says what is in it
		group.Go(func() (err error) {
			if keep, err = n.sketch(both, entries); err != nil {
				return n.inLayer(name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return layers.Blob{}, err
	}
	n.tell("which layer "+name+" is", layers.Keep(r.Store, key, b))
	n.tell("what layer "+name+" adds to SBOMs", keep(b))
	return b, nil
}

func (n *node) layerKey(entries []rootfs.Entry) string {
	r := n.run
	return layers.Key(layers.Inputs{Entries: entries, Compression: r.Compression, Epoch: n.date, SourceDate: r.SourceDate})
}

func (n *node) layerOptions(name string) layers.Options {
	r := n.run
	return layers.Options{
		Compression: r.Compression, Epoch: n.date, SourceDate: r.SourceDate,
		Name: n.image.Ref.String() + "/" + name, Pool: r.pool, Progress: r.Progress,
	}
}

// collected lays the image out on its parent's tree. The parent is laid out
// too, where it came from the store: that is quick, since unpacked archives
// are remembered, and gives the same trees whatever was built before.
func (n *node) collected(ctx context.Context) (collected, error) {
	return n.trees.do(func() (collected, error) {
		if err := n.fetch(ctx); err != nil {
			return collected{}, err
		}
		var lower *rootfs.Tree
		if n.parent != nil {
			c, err := n.parent.collected(ctx)
			if err != nil {
				return collected{}, err
			}
			lower = c.top
		}
		select {
		case n.run.collect <- struct{}{}:
			defer func() { <-n.run.collect }()
		case <-ctx.Done():
			return collected{}, context.Cause(ctx)
		}
		return n.layout(ctx, lower)
	})
}

func (n *node) layout(ctx context.Context, lower *rootfs.Tree) (collected, error) {
	task := n.run.Progress.Start("collect", n.image.Ref.String())
	c, err := n.layers(ctx, lower)
	task.Done(err)
	return c, err
}

func (n *node) layers(ctx context.Context, lower *rootfs.Tree) (collected, error) {
	in := collect.Input{Image: n.image, Locked: n.locked, Store: n.run.Store, Go: n.run.Go}
	c := collected{top: lower}
	for _, l := range n.image.Layers {
		got, err := collect.Content(ctx, in, l, c.top)
		if err != nil {
			return collected{}, err
		}
		c.layers = append(c.layers, tree{l.Name, got.Tree, got.Dropped})
		c.top = got.Tree
	}
	state, err := collect.State(ctx, in, c.top)
	if err != nil {
		return collected{}, err
	}
	c.layers = append(c.layers, tree{name: image.StateLayer, tree: state})
	c.top = state
	return c, nil
}

// fetch brings the image's artefacts into the store. Those that are there are
// hashed once they are opened, and most are not: what is in them is remembered.
// Go modules come when their program is built, which happens once.
func (n *node) fetch(ctx context.Context) error {
	var files []recipes.Artifact
	for _, a := range n.locked.Artifacts {
		size, there := n.run.Store.Has(a.SHA256)
		if a.Kind != recipes.KindGo && (!there || size != a.Size) {
			files = append(files, a)
		}
	}
	if len(files) == 0 {
		return nil
	}
	f := n.run.Fetcher.For(n.image.Ref.String())
	f.Early = n.run.early
	return f.Artifacts(ctx, files)
}
