package reproduce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// comparison knows where both images lie.
type comparison struct {
	repo  publish.Repository
	store *fetch.Store
}

// image compares a published image with the one that was built again: diffIDs
// first, then digests. It gives nil where they are the same.
func (c comparison) image(ctx context.Context, m publish.Manifest, built *image.Built) (*Difference, error) {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", m.Digest(), err)
	}
	raw, err := publish.ReadSmall(ctx, c.repo, manifest.Config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var config ocispec.Image
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("config %s: %w", manifest.Config.Digest, err)
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return &Difference{In: "config", Path: "rootfs.diff_ids", Aspects: []Aspect{{
			"number of diffIDs", fmt.Sprintf("%d, of %d layers", len(config.RootFS.DiffIDs), len(manifest.Layers)), fmt.Sprint(len(built.Layers)),
		}}}, nil
	}
	if d, err := c.layers(ctx, manifest, config, built); d != nil || err != nil {
		return d, err
	}
	if d := document("config", raw, built.Config); d != nil {
		return d, nil
	}
	return document("manifest", m.Raw, built.Manifest), nil
}

// layers finds the first layer with another diffID, else the first with
// another digest.
func (c comparison) layers(ctx context.Context, manifest ocispec.Manifest, config ocispec.Image, built *image.Built) (*Difference, error) {
	common := min(len(manifest.Layers), len(built.Layers))
	for i := range common {
		if config.RootFS.DiffIDs[i] != publish.SHA256(built.Layers[i].Blob.DiffID) {
			return c.layer(ctx, i, manifest.Layers[i], config.RootFS.DiffIDs[i].String(), built.Layers[i])
		}
	}
	if len(manifest.Layers) != len(built.Layers) {
		return &Difference{In: "layer", Layer: common + 1, Aspects: []Aspect{{
			"number of layers", fmt.Sprint(len(manifest.Layers)), fmt.Sprint(len(built.Layers)),
		}}}, nil
	}
	for i := range common {
		if manifest.Layers[i].Digest != publish.SHA256(built.Layers[i].Blob.Digest) {
			return c.layer(ctx, i, manifest.Layers[i], config.RootFS.DiffIDs[i].String(), built.Layers[i])
		}
	}
	return nil, nil
}

// layer says how two layers differ, path by path. Both are read as streams;
// only what their headers say is kept.
func (c comparison) layer(ctx context.Context, at int, d ocispec.Descriptor, named string, built image.Layer) (*Difference, error) {
	diff := &Difference{In: "layer", Layer: at + 1, Name: built.Image + "/" + built.Name}
	theirs, err := c.published(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("layer %d, %s: %w", diff.Layer, d.Digest, err)
	}
	ours, err := c.rebuilt(ctx, built)
	if err != nil {
		return nil, fmt.Errorf("layer %d as it was built again: %w", diff.Layer, err)
	}
	if path, aspects, more := theirs.against(ours); len(aspects) > 0 {
		diff.Path, diff.Aspects, diff.More = path, aspects, more
		return diff, nil
	}
	switch {
	case theirs.diffID != ours.diffID:
		diff.Aspects = []Aspect{{"form of the tar stream, not what it holds", theirs.diffID, ours.diffID}}
	case named != theirs.diffID:
		diff.Aspects = []Aspect{{"diffID that the config names", named, ours.diffID}}
	default:
		diff.Aspects = []Aspect{{
			"compression, not what is compressed",
			fmt.Sprintf("%s %s", d.MediaType, d.Digest), fmt.Sprintf("%s sha256:%s", built.Blob.MediaType, built.Blob.Digest),
		}}
	}
	return diff, nil
}

func (c comparison) published(ctx context.Context, d ocispec.Descriptor) (*listing, error) {
	rc, err := c.repo.Blob(ctx, d)
	if err != nil {
		return nil, err
	}
	return closing(ctx, rc, d.MediaType)
}

func (c comparison) rebuilt(ctx context.Context, l image.Layer) (*listing, error) {
	f, err := c.store.Open(ctx, l.Blob.Digest)
	if err != nil {
		return nil, err
	}
	return closing(ctx, f, l.Blob.MediaType)
}

func closing(ctx context.Context, rc io.ReadCloser, mediaType string) (*listing, error) {
	l, err := list(ctx, rc, mediaType)
	return l, errors.Join(err, rc.Close())
}

// document compares two JSON documents, and gives nil where their bytes are
// the same.
func document(in string, theirs, ours []byte) *Difference {
	part := image.Part(theirs, ours)
	if part == nil {
		return nil
	}
	what := "value"
	if part.Form != "" {
		what = part.Form
	}
	return &Difference{In: in, Path: part.Key, Aspects: []Aspect{{what, part.Have, part.Want}}}
}
