package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/recipes"
)

// ErrOther says that an image is not the one that its recipe, its parent and
// its layers make.
var ErrOther = errors.New("not what recipe, lock and parent make")

// Read makes an image anew whose layers were packed elsewhere. All that the
// given manifest and configuration are asked for is digest, diffID and size of
// each layer that the image adds to its parent, which Input.Layers need not
// say; everything else comes from the input, as in Build. The error is
// ErrOther, with the first place that differs, unless both come out byte for
// byte as they were given. What is in the layers is not looked at, nor how
// large they are unpacked.
func Read(in Input, manifest, config []byte) (*Built, error) {
	var err error
	if in.Layers, err = own(in, manifest, config); err != nil {
		return nil, fmt.Errorf("image %s for %s: %w", in.Image.Ref, in.Image.Platform, err)
	}
	b, err := Build(in)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name      string
		have, own []byte
	}{{"configuration", config, b.Config}, {"manifest", manifest, b.Manifest}} {
		if !bytes.Equal(part.have, part.own) {
			return nil, fmt.Errorf("image %s for %s: %w: %s: %s", in.Image.Ref, in.Image.Platform, ErrOther, part.name, Difference(part.have, part.own))
		}
	}
	return b, nil
}

// own reads which layers a manifest and its configuration add to the parent's.
func own(in Input, manifest, config []byte) ([]Named, error) {
	m, c, err := parse(manifest, config)
	if err != nil {
		return nil, err
	}
	inherited, err := inherited(in.Parent, m.Layers)
	if err != nil {
		return nil, err
	}
	return ownFrom(in.Image, m, c, inherited)
}

// parse reads a manifest and its configuration, which must list the same
// layers.
func parse(manifest, config []byte) (m ocispec.Manifest, c configuration, err error) {
	if err := json.Unmarshal(manifest, &m); err != nil {
		return m, c, fmt.Errorf("%w: manifest: %w", ErrOther, err)
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return m, c, fmt.Errorf("%w: configuration: %w", ErrOther, err)
	}
	if n := len(m.Layers); n != len(c.RootFS.DiffIDs) || n != len(c.History) {
		return m, c, fmt.Errorf("%w: %d layers, %d diffIDs and %d entries of history", ErrOther, n, len(c.RootFS.DiffIDs), len(c.History))
	}
	return m, c, nil
}

// Own reads which layers of a published image are its own, whatever image it
// was built on: the last of them, as the history says. They come in the order
// of the recipe. The error is ErrOther where they do not.
func Own(i *recipes.Image, manifest, config []byte) ([]Named, error) {
	m, c, err := parse(manifest, config)
	if err != nil {
		return nil, fmt.Errorf("image %s for %s: %w", i.Ref, i.Platform, err)
	}
	first := slices.IndexFunc(c.History, func(h ocispec.History) bool {
		return strings.HasPrefix(h.CreatedBy, createdBy(i.Ref.String(), ""))
	})
	if first < 0 {
		first = len(c.History)
	}
	own, err := ownFrom(i, m, c, first)
	if err != nil {
		return nil, fmt.Errorf("image %s for %s: %w", i.Ref, i.Platform, err)
	}
	return own, nil
}

// ownFrom reads the image's own layers, which are those from first on.
func ownFrom(i *recipes.Image, m ocispec.Manifest, c configuration, first int) ([]Named, error) {
	var found []Named
	names := layerNames(i)
	for n := first; n < len(m.Layers); n++ {
		name, ok := strings.CutPrefix(c.History[n].CreatedBy, createdBy(i.Ref.String(), ""))
		at := slices.Index(names, name)
		if !ok || at < 0 {
			return nil, fmt.Errorf("%w: layer %d is %q, which is no layer of its recipe that may come there", ErrOther, n+1, c.History[n].CreatedBy)
		}
		names = names[at+1:]
		blob, err := packed(m.Layers[n], c.RootFS.DiffIDs[n])
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", n+1, err)
		}
		found = append(found, Named{name, blob})
	}
	return found, nil
}

// inherited counts the parent's layers, which must be the first.
func inherited(parent *Built, have []ocispec.Descriptor) (int, error) {
	if parent == nil {
		return 0, nil
	}
	for i, l := range parent.Layers {
		if i >= len(have) {
			return 0, fmt.Errorf("%w: it has %d layers, its parent %s has %d", ErrOther, len(have), parent.Image.Ref, len(parent.Layers))
		}
		if want := l.Descriptor(); have[i].Digest != want.Digest || have[i].Size != want.Size {
			return 0, fmt.Errorf("%w: layer %d is %s, and that of its parent %s is %s", ErrOther, i+1, have[i].Digest, parent.Image.Ref, want.Digest)
		}
	}
	return len(parent.Layers), nil
}

// layerNames are those that layers of an image may have, in order; a layer
// that would hold nothing is left out of the image.
func layerNames(i *recipes.Image) []string {
	names := make([]string, 0, len(i.Layers)+1)
	for _, l := range i.Layers {
		names = append(names, l.Name)
	}
	return append(names, StateLayer)
}

func packed(d ocispec.Descriptor, diffID digest.Digest) (layers.Blob, error) {
	for _, x := range []digest.Digest{d.Digest, diffID} {
		if err := x.Validate(); err != nil || x.Algorithm() != digest.SHA256 {
			return layers.Blob{}, fmt.Errorf("%w: digest %q", ErrOther, x)
		}
	}
	if d.MediaType != layers.Gzip.MediaType() && d.MediaType != layers.Zstd.MediaType() {
		return layers.Blob{}, fmt.Errorf("%w: media type %q", ErrOther, d.MediaType)
	}
	return layers.Blob{
		Digest: recipes.Digest(d.Digest.Encoded()), DiffID: recipes.Digest(diffID.Encoded()), Size: d.Size, MediaType: d.MediaType,
	}, nil
}
