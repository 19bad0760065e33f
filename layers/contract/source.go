package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/contract/trial"
	"github.com/shudl/shudl-assemble/layers/contract/unpack"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Published finds images where they were published, by the tag of their
// stream. Layers that are not on this machine are brought into the store.
func Published(from publish.Destination, store *fetch.Store) Source {
	return func(ctx context.Context, image *recipes.Image) (Image, error) {
		repo, err := from.Repository(image.Name)
		if err != nil {
			return Image{}, err
		}
		tags := image.Tags("version", "id")
		reference := publish.Reference{Repository: repo, Image: image.Name, Tag: tags[2]}
		manifest, err := reference.Manifest(ctx)
		if errors.Is(err, publish.ErrNoTag) {
			return Image{}, fmt.Errorf("%w: `shudl-assemble push %s --distro %s --to %s` makes it", err, image.Ref, image.Distro, from)
		}
		if err != nil {
			return Image{}, err
		}
		p := puller{repo: repo, store: store}
		found, err := p.image(ctx, manifest, image.Platform)
		if err != nil {
			return Image{}, fmt.Errorf("read %s: %w", reference, err)
		}
		found.Reference = reference.String()
		return found, nil
	}
}

// puller brings the layers of an image to this machine.
type puller struct {
	repo  publish.Repository
	store *fetch.Store
}

func (p puller) image(ctx context.Context, m publish.Manifest, platform recipes.Platform) (Image, error) {
	if m.MediaType == ocispec.MediaTypeImageIndex {
		children, err := verify.Platforms(m)
		if err != nil {
			return Image{}, err
		}
		for _, child := range children {
			if child.Platform == string(platform) {
				if m, err = p.repo.Manifest(ctx, child.Digest); err != nil {
					return Image{}, err
				}
				return p.image(ctx, m, platform)
			}
		}
		return Image{}, fmt.Errorf("it has no image for %s", platform)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return Image{}, err
	}
	raw, err := publish.ReadSmall(ctx, p.repo, manifest.Config)
	if err != nil {
		return Image{}, err
	}
	i, err := Describe(m.Digest(), raw)
	if err != nil {
		return Image{}, err
	}
	if len(i.Layers) != len(manifest.Layers) {
		return Image{}, fmt.Errorf("its manifest has %d layers, its configuration %d", len(manifest.Layers), len(i.Layers))
	}
	for n, l := range manifest.Layers {
		at := &i.Layers[n]
		if at.Digest, err = publish.Hex(l.Digest); err != nil {
			return Image{}, err
		}
		at.Size = l.Size
		if at.File, err = p.layer(ctx, l, at.Digest); err != nil {
			return Image{}, err
		}
	}
	return i, nil
}

// Describe begins an image by its configuration: layers have their diffIDs
// only.
func Describe(manifest digest.Digest, config []byte) (Image, error) {
	c, err := trial.ParseConfig(config)
	if err != nil {
		return Image{}, err
	}
	var parsed struct {
		RootFS ocispec.RootFS `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		return Image{}, err
	}
	i := Image{Digest: manifest.String(), Config: c}
	for _, d := range parsed.RootFS.DiffIDs {
		hex, err := publish.Hex(d)
		if err != nil {
			return Image{}, err
		}
		i.Layers = append(i.Layers, unpack.Layer{DiffID: hex})
	}
	return i, nil
}

// layer gives a file with the layer, which is hashed when it is unpacked.
func (p puller) layer(ctx context.Context, d ocispec.Descriptor, hex recipes.Digest) (string, error) {
	if files, ok := p.repo.(interface {
		File(digest.Digest) (string, error)
	}); ok {
		return files.File(d.Digest)
	}
	if path, err := p.store.Path(ctx, hex); err == nil {
		return path, nil
	}
	blob, err := p.repo.Blob(ctx, d)
	if err != nil {
		return "", err
	}
	defer blob.Close()
	w, err := p.store.Create(ctx)
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(w, blob); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	if _, _, err := w.Commit(hex); err != nil {
		return "", err
	}
	return p.store.Path(ctx, hex)
}
