package verify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/rootfs/archive"
)

// image is the manifest of one platform with its config, in their right form.
type image struct {
	publish.Manifest
	parsed   ocispec.Manifest
	config   ocispec.Image
	platform string
}

// content checks the form of a manifest, that config and layers are there, and
// what the config says of them; with Layers it reads every layer. The image is
// nil where it is malformed or its config is not there.
func (c *checker) content(ctx context.Context, in place, m publish.Manifest, platform string) (*image, error) {
	f := Finding{Check: "content", Image: in.image, Digest: m.Digest().String(), Platform: platform, Advice: repair}
	f.Expected = "an image manifest, its config and its layers"
	i, err := readImage(ctx, in.repo, m, platform)
	if failed(err) || errors.Is(err, ErrContent) {
		f.Found = told(err)
		c.fail(ErrContent, f)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f.Expected, f.Platform = fmt.Sprintf("config and %d layers", len(i.parsed.Layers)), i.platform
	for n, layer := range i.parsed.Layers {
		err := c.layer(ctx, in.repo, layer, i.config.RootFS.DiffIDs[n])
		if failed(err) || errors.Is(err, ErrContent) {
			f.Found = "layer " + layer.Digest.String() + ": " + told(err)
			c.fail(ErrContent, f)
			return i, nil
		}
		if err != nil {
			return nil, err
		}
	}
	f.Found = "all there"
	if c.options.Layers {
		f.Found = "all hashed and unpacked to their diffIDs"
	}
	c.pass(f)
	return i, nil
}

// maxConfig is the largest config that is read, in bytes.
const maxConfig = 4 << 20

// readImage reads manifest and config. The error is ErrContent where they are
// not what an image has.
func readImage(ctx context.Context, repo publish.Repository, m publish.Manifest, platform string) (*image, error) {
	i := &image{Manifest: m, platform: platform}
	if err := i.parse(); err != nil {
		return nil, fmt.Errorf("%w: manifest %s: %w", ErrContent, m.Digest(), err)
	}
	if i.parsed.Config.Size > maxConfig {
		return nil, fmt.Errorf("%w: config of %d bytes", ErrContent, i.parsed.Config.Size)
	}
	raw, err := publish.ReadSmall(ctx, repo, i.parsed.Config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := i.parseConfig(raw); err != nil {
		return nil, fmt.Errorf("%w: config %s: %w", ErrContent, i.parsed.Config.Digest, err)
	}
	return i, nil
}

// parse reads the manifest.
func (i *image) parse() error {
	if i.MediaType != ocispec.MediaTypeImageManifest {
		return fmt.Errorf("%s is not an image manifest", i.MediaType)
	}
	if err := unambiguous(i.Raw); err != nil {
		return err
	}
	if err := json.Unmarshal(i.Raw, &i.parsed); err != nil {
		return err
	}
	if i.parsed.ArtifactType != "" || i.parsed.Config.MediaType != ocispec.MediaTypeImageConfig {
		return fmt.Errorf("an artifact with a config of type %q, not an image", i.parsed.Config.MediaType)
	}
	for _, d := range append([]ocispec.Descriptor{i.parsed.Config}, i.parsed.Layers...) {
		if _, err := publish.Hex(d.Digest); err != nil {
			return err
		}
		if d.Size < 0 {
			return fmt.Errorf("%s: %d bytes", d.Digest, d.Size)
		}
	}
	return nil
}

// parseConfig reads the config and compares it with the manifest, and with
// what the index said.
func (i *image) parseConfig(raw []byte) error {
	if err := unambiguous(raw); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &i.config); err != nil {
		return err
	}
	if n := len(i.config.RootFS.DiffIDs); n != len(i.parsed.Layers) {
		return fmt.Errorf("%d diffIDs for %d layers", n, len(i.parsed.Layers))
	}
	for _, d := range i.config.RootFS.DiffIDs {
		if _, err := publish.Hex(d); err != nil {
			return fmt.Errorf("diffID: %w", err)
		}
	}
	own := platformOf(i.config.Platform)
	if i.platform == "" {
		i.platform = own
	}
	if own != i.platform {
		return fmt.Errorf("it is for %s, and its index says %s", own, i.platform)
	}
	return nil
}

// layer makes sure that a layer is there; with Layers, that its bytes are
// those of the manifest, and unpacked those of the config.
func (c *checker) layer(ctx context.Context, repo publish.Repository, d ocispec.Descriptor, diffID digest.Digest) error {
	if !c.options.Layers {
		has, err := repo.Has(ctx, d)
		if err == nil && !has {
			err = publish.ErrNotFound
		}
		return err
	}
	rc, err := repo.Blob(ctx, d)
	if err != nil {
		return err
	}
	defer rc.Close()
	sum := sha256.New()
	packed := &sticky{Reader: rc}
	plain, err := archive.Reader(packed)
	if err == nil {
		_, err = io.Copy(sum, plain)
		err = errors.Join(err, plain.Close())
	}
	if packed.err == nil {
		_, _ = io.Copy(io.Discard, packed) // to its end, where its digest is held
	}
	switch {
	case packed.err != nil && !errors.Is(packed.err, io.EOF):
		return packed.err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	if got := digest.NewDigest(digest.SHA256, sum); got != diffID {
		return fmt.Errorf("%w: unpacked it is %s, the config says %s", ErrContent, got, diffID)
	}
	return nil
}

// sticky remembers how a reader ended, so that a wrong blob is not told as a
// broken archive.
type sticky struct {
	io.Reader
	err error
}

func (s *sticky) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}
