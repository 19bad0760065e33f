package assemble

import (
	"context"
	"encoding/json"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// With Options.Rebase a published image gets another base. Recipes and lock
// say what the image is; it is laid out as for a build, but its content layers
// are neither compressed nor sent: the tar stream of each is hashed, and the
// blob that was published is taken over where the diffIDs are the same. State
// layer, configuration, SBOM and provenance are made as for any other image,
// so that a build of the same recipes and lock gives the same digests.

// Rebase is an image as it was published, and what it is put onto.
type Rebase struct {
	// Repository holds the image.
	Repository publish.Repository
	Platforms  map[recipes.Platform]Rebased
}

// Rebased is one platform of a Rebase.
type Rebased struct {
	// Manifest is the image's, and Provenance what its builder said of it:
	// both must have been verified.
	Manifest   publish.Manifest
	Provenance *provenance.Predicate
	// Base is the manifest that the parent must have.
	Base recipes.Digest
}

// OtherBaseError says that a base is not the one that recipes and lock make.
type OtherBaseError struct {
	Image, Parent recipes.Ref
	Platform      recipes.Platform
	Given, Made   recipes.Digest
}

func (e *OtherBaseError) Error() string {
	return fmt.Sprintf("image %s for %s: the base given is sha256:%s, and recipes and lock make %s as sha256:%s: "+
		"push that first, or use the recipes and the lock that made the base given",
		e.Image, e.Platform, e.Given, e.Parent, e.Made)
}

// Is makes it an image.ErrOther.
func (e *OtherBaseError) Is(target error) bool { return target == image.ErrOther }

// OtherLayerError says that a content layer would have to be packed anew.
type OtherLayerError struct {
	Image    recipes.Ref
	Platform recipes.Platform
	Layer    string
	// Published and Made are diffIDs; "" where there is no such layer.
	Published, Made recipes.Digest
}

func (e *OtherLayerError) Error() string {
	said := func(d recipes.Digest) string {
		if d == "" {
			return "missing"
		}
		return "diffID sha256:" + string(d)
	}
	return fmt.Sprintf("image %s for %s: layer %s is published with %s, and on the new base it is %s: "+
		"the base changes a path that the layer repeats, or this release lays it out differently; `shudl-assemble push %s` makes it anew",
		e.Image, e.Platform, e.Layer, said(e.Published), said(e.Made), e.Image)
}

// Is makes it an image.ErrOther.
func (e *OtherLayerError) Is(target error) bool { return target == image.ErrOther }

// last says whether the node is what the run is for.
func (n *node) last() bool {
	return n.image.Is(n.run.Refs[len(n.run.Refs)-1])
}

// rebase makes the image of its published content layers.
func (n *node) rebase(ctx context.Context) error {
	old, ok := n.run.Rebase.Platforms[n.image.Platform]
	if !ok {
		return fmt.Errorf("image %s: %w: nothing is published for %s", n.image.Ref, image.ErrOther, n.image.Platform)
	}
	if n.parent == nil {
		return fmt.Errorf("image %s is a base: there is nothing that it could be put onto", n.image.Ref)
	}
	if err := n.parent.wait(ctx); err != nil {
		return err
	}
	if made := n.parent.built.Digest; made != old.Base {
		return &OtherBaseError{n.image.Ref, n.parent.image.Ref, n.image.Platform, old.Base, made}
	}
	if err := old.Provenance.SameService(n.predicate()); err != nil {
		return err
	}
	published, err := n.published(ctx, old)
	if err != nil {
		return err
	}
	err = n.pack(ctx, func(ctx context.Context, name string, entries []rootfs.Entry) (layers.Blob, error) {
		if name == image.StateLayer {
			return n.layer(ctx, name, entries)
		}
		return n.takeOver(ctx, name, entries, published[name])
	})
	if err != nil {
		return err
	}
	for _, l := range n.record.Own {
		delete(published, l.Name)
	}
	delete(published, image.StateLayer)
	for name, blob := range published {
		return &OtherLayerError{n.image.Ref, n.image.Platform, name, blob.DiffID, ""}
	}
	return n.join(ctx)
}

// published are the layers that the image had of its own, by name.
func (n *node) published(ctx context.Context, old Rebased) (map[string]layers.Blob, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(old.Manifest.Raw, &m); err != nil {
		return nil, fmt.Errorf("image %s: manifest %s: %w", n.image.Ref, old.Manifest.Digest(), err)
	}
	config, err := publish.ReadSmall(ctx, n.run.Rebase.Repository, m.Config)
	if err != nil {
		return nil, fmt.Errorf("image %s for %s: configuration: %w", n.image.Ref, n.image.Platform, err)
	}
	own, err := image.Own(n.image, old.Manifest.Raw, config)
	if err != nil {
		return nil, err
	}
	blobs := make(map[string]layers.Blob, len(own))
	for _, l := range own {
		blobs[l.Name] = l.Blob
	}
	return blobs, nil
}

// takeOver gives the blob that was published for a layer, once it is known to
// hold the same.
func (n *node) takeOver(ctx context.Context, name string, entries []rootfs.Entry, old layers.Blob) (layers.Blob, error) {
	own, ok := layers.Cached(n.run.Store, n.layerKey(entries))
	if !ok {
		var err error
		if own, err = layers.Measure(ctx, n.run.Store, entries, n.layerOptions(name)); err != nil {
			return layers.Blob{}, err
		}
	}
	// A blob that was packed here must be the published one, not only unpack to
	// the same: else a push would give another digest.
	if own.DiffID != old.DiffID || ok && (own.Digest != old.Digest || own.Size != old.Size || own.MediaType != old.MediaType) {
		return layers.Blob{}, &OtherLayerError{n.image.Ref, n.image.Platform, name, old.DiffID, own.DiffID}
	}
	old.Uncompressed, old.Tree = own.Uncompressed, own.Tree
	return old, nil
}
