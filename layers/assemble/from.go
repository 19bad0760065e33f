package assemble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// With Options.From an image is not made but taken from where another run put
// it, one that need not be trusted with a key. Nothing is fetched, unpacked or
// decompressed here. Recipes and lock are this run's own, so names, tags,
// configuration, annotations and the chain of layers are made anew from them
// and must come out byte for byte; every blob is hashed; and each statement
// must be of a kind that this run would make, about this very manifest, and
// name what the lock names. What remains to be believed is what is inside the
// layers.

// ErrStatement says that what another run says of an image is missing or
// wrong.
var ErrStatement = errors.New("SBOM or other statement missing or wrong")

// handed is an image of one platform as another run left it.
type handed struct {
	repo       publish.Repository
	top        publish.Manifest // what the tags name
	manifest   publish.Manifest
	statements map[string]attest.Item // by predicate type
	spdx       []byte                 // the SBOM, once it was checked
}

// load takes the image from where another run put it.
func (n *node) load(ctx context.Context) error {
	in := image.Input{Image: n.image, Version: n.version, BuildID: n.buildID, Created: n.created()}
	if n.parent != nil {
		if err := n.parent.wait(ctx); err != nil {
			return err
		}
		in.Parent = n.parent.built
	}
	select {
	case n.run.collect <- struct{}{}:
		defer func() { <-n.run.collect }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	task := n.run.Progress.Start("check", n.image.Ref.String())
	err := n.take(ctx, in)
	task.Done(err)
	return err
}

func (n *node) take(ctx context.Context, in image.Input) (err error) {
	if n.handed, err = n.find(ctx); err != nil {
		return err
	}
	if n.built, err = n.reread(ctx, in); err != nil {
		return err
	}
	if err := n.withinBudget(); err != nil {
		return err
	}
	blobs := []ocispec.Descriptor{n.built.ConfigDescriptor()}
	for _, l := range n.built.Layers {
		blobs = append(blobs, l.Descriptor())
	}
	for _, d := range blobs {
		if err := publish.Rehash(ctx, n.handed.repo, d); err != nil {
			return fmt.Errorf("image %s for %s: %w", n.image.Ref, n.image.Platform, err)
		}
	}
	n.cached = true
	return n.checkStatements(ctx)
}

// find reads the manifest that all tags of the image name.
func (n *node) find(ctx context.Context) (*handed, error) {
	repo, err := n.run.From.Repository(n.image.Name)
	if err != nil {
		return nil, err
	}
	nodes := n.run.platforms(n.image.Ref)
	tags := joinedTags(nodes)
	h := &handed{repo: repo}
	for _, tag := range tags {
		d, err := repo.Resolve(ctx, tag)
		if errors.Is(err, publish.ErrNoTag) && tag == tags[0] {
			return nil, fmt.Errorf("%w, which is what recipe, lock and options make of image %s: was it built from the same ones, for the same --platform?", err, n.image.Ref)
		}
		if err != nil {
			return nil, err
		}
		if tag == tags[0] {
			if h.top, err = repo.Manifest(ctx, d.Digest); err != nil {
				return nil, err
			}
		}
		if d.Digest != h.top.Digest() {
			return nil, fmt.Errorf("image %s: %w: %s names %s, and %s names %s: was something else built there since?",
				n.image.Ref, image.ErrOther, repo.Reference(tag), d.Digest, repo.Reference(tags[0]), h.top.Digest())
		}
	}
	h.manifest, err = n.ofPlatform(ctx, h, len(nodes) > 1)
	return h, err
}

// ofPlatform is the manifest of the node's platform; an index is compared
// whole once all its platforms are known.
func (n *node) ofPlatform(ctx context.Context, h *handed, several bool) (publish.Manifest, error) {
	if index := h.top.MediaType == ocispec.MediaTypeImageIndex; index != several {
		return publish.Manifest{}, fmt.Errorf("image %s: %w: %s is of type %s", n.image.Ref, image.ErrOther, h.top.Digest(), h.top.MediaType)
	}
	if !several {
		return h.top, nil
	}
	var index ocispec.Index
	if err := json.Unmarshal(h.top.Raw, &index); err != nil {
		return publish.Manifest{}, fmt.Errorf("image %s: index %s: %w", n.image.Ref, h.top.Digest(), err)
	}
	for _, d := range index.Manifests {
		if d.Platform != nil && recipes.Platform(d.Platform.OS+"/"+d.Platform.Architecture) == n.image.Platform {
			return h.repo.Manifest(ctx, d.Digest)
		}
	}
	return publish.Manifest{}, fmt.Errorf("image %s: %w: index %s has no %s", n.image.Ref, image.ErrOther, h.top.Digest(), n.image.Platform)
}

// reread makes the image anew of the layers that the manifest names.
func (n *node) reread(ctx context.Context, in image.Input) (*image.Built, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(n.handed.manifest.Raw, &m); err != nil {
		return nil, fmt.Errorf("image %s: manifest %s: %w", n.image.Ref, n.handed.manifest.Digest(), err)
	}
	config, err := publish.ReadSmall(ctx, n.handed.repo, m.Config)
	if err != nil {
		return nil, fmt.Errorf("image %s for %s: configuration: %w", n.image.Ref, n.image.Platform, err)
	}
	return image.Read(in, n.handed.manifest.Raw, config)
}

// sameIndex holds the index of several platforms to the one that was found.
func (n *node) sameIndex(digest string) error {
	if n.handed == nil || n.handed.top.Digest().String() == digest {
		return nil
	}
	return fmt.Errorf("image %s: %w: its tags name the index %s, and its platforms make %s",
		n.image.Ref, image.ErrOther, n.handed.top.Digest(), digest)
}

// PlatformsAt finds the platforms that the first image of the options was
// last built for where From has it.
func PlatformsAt(ctx context.Context, o Options) ([]recipes.Platform, error) {
	o.Refs = o.Refs[:1]
	repo, err := o.From.Repository(o.Refs[0].Name)
	if err != nil {
		return nil, err
	}
	var missing error
	for _, p := range recipes.Platforms() {
		o.Platforms = []recipes.Platform{p}
		r, err := newRun(o)
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		n := r.nodes[0]
		d, err := repo.Resolve(ctx, n.image.Tags(n.version, n.buildID)[1])
		if errors.Is(err, publish.ErrNoTag) {
			missing = errors.Join(missing, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		return publish.PlatformsOf(ctx, repo, d)
	}
	return nil, missing
}
