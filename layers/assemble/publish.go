package assemble

import (
	"context"
	"fmt"
	"io"

	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// publish brings one image of all its platforms to the destination, after its
// parent, whose layers a registry can then mount.
func (r *run) publish(ctx context.Context, nodes []*node, before <-chan struct{}) (Image, error) {
	for _, n := range nodes {
		if err := n.wait(ctx); err != nil {
			return Image{}, err
		}
	}
	if r.Test != nil {
		if err := wait(ctx, before); err != nil {
			return Image{}, err
		}
		for _, n := range nodes {
			if err := n.test(ctx); err != nil {
				return Image{}, err
			}
		}
	}
	result, release, err := r.release(nodes)
	if err == nil {
		err = nodes[0].sameIndex(result.Digest)
	}
	if err != nil || r.Dest == nil {
		return result, err
	}
	options := r.publishOptions()
	if r.Test == nil {
		if done, ok := publish.Unchanged(ctx, r.Dest, release, options); ok {
			return result.published(done), nil
		}
		if err := wait(ctx, before); err != nil {
			return Image{}, err
		}
	}
	done, err := publish.Publish(ctx, r.Dest, release, options)
	if err != nil {
		return Image{}, err
	}
	return result.published(done), nil
}

func (r *run) publishOptions() publish.Options {
	options := publish.Options{
		Signer: r.Signer, Format: r.Format, Merge: r.Merge, Recheck: r.Recheck, Jobs: r.transfers, Progress: r.Progress,
		Permit: func(ctx context.Context) error {
			if err := r.openKey(); err != nil {
				return err
			}
			return r.permit(ctx)
		},
	}
	if r.Store != nil {
		options.Memory = r.Store
	}
	return options
}

// published is the image with what its publication says.
func (i Image) published(done publish.Result) Image {
	i.Digest, i.Reference = done.Digest.String(), done.Reference
	i.KeyID, i.Moved, i.Written = done.KeyID, done.Moved, done.Blobs+done.Manifests
	return i
}

// release is an image as it is published, and what the user is told of it.
func (r *run) release(nodes []*node) (Image, publish.Release, error) {
	first := nodes[0]
	result := Image{
		Ref: first.image.Ref, Summary: first.image.Summary, Tags: joinedTags(nodes),
		Digest: "sha256:" + string(first.built.Digest), Budget: first.image.Budget,
	}
	release := publish.Release{Name: first.image.Name}
	var built []*image.Built
	for _, n := range nodes {
		built = append(built, n.built)
		img, err := r.platform(n)
		if err != nil {
			return Image{}, publish.Release{}, err
		}
		release.Images = append(release.Images, img)
		result.Platforms = append(result.Platforms, Platform{
			Platform: n.image.Platform, Digest: n.built.Digest, Version: n.version,
			Own: n.built.Own(), Inherited: len(n.built.Layers) - n.built.Own(),
			Size: n.built.Size(), Uncompressed: n.built.Uncompressed(), Cached: n.cached,
		})
	}
	if len(nodes) > 1 {
		index, digest, err := image.Index(built)
		if err != nil {
			return Image{}, publish.Release{}, err
		}
		release.Index = index
		result.Digest = "sha256:" + string(digest)
	}
	release.Tags, release.Fixed = result.Tags, result.Tags[0]
	return result, release, nil
}

// joinedTags are the tags of an image of these platforms.
func joinedTags(nodes []*node) []string {
	ids := make([]string, 0, len(nodes))
	for _, n := range nodes {
		ids = append(ids, n.buildID)
	}
	return nodes[0].image.Tags(nodes[0].version, recipes.JoinBuildIDs(ids...))
}

// platform is one platform of a release, with its blobs and what is said of
// it.
func (r *run) platform(n *node) (publish.Image, error) {
	said, err := n.attestations()
	if err != nil {
		return publish.Image{}, err
	}
	img := publish.Image{
		Platform:     n.image.Platform,
		Manifest:     n.built.Manifest,
		Blobs:        []publish.Blob{publish.BytesBlob(n.built.ConfigDescriptor().MediaType, n.built.Config)},
		Attestations: said,
	}
	for _, l := range n.built.Layers {
		img.Blobs = append(img.Blobs, r.blob(n, l))
	}
	return img, nil
}

// blob is a layer in the store. The store hashes it again before it is read.
func (r *run) blob(n *node, l image.Layer) publish.Blob {
	b := publish.Blob{
		Descriptor: l.Descriptor(),
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			f, err := r.Store.Open(ctx, l.Blob.Digest)
			if err != nil {
				return nil, fmt.Errorf("layer %s of image %s: %w", l.Name, l.Image, err)
			}
			return f, nil
		},
		File: func(ctx context.Context) (string, error) { return r.Store.Path(ctx, l.Blob.Digest) },
	}
	if n.handed != nil {
		b.File = nil // it is another's file, which may change yet
		b.Open = func(ctx context.Context) (io.ReadCloser, error) { return n.handed.repo.Blob(ctx, b.Descriptor) }
	}
	if r.Rebase != nil && l.Own && l.Name != image.StateLayer {
		b.File = nil // it may not be in the store
		b.Open = func(ctx context.Context) (io.ReadCloser, error) { return r.Rebase.Repository.Blob(ctx, b.Descriptor) }
	}
	if n.parent != nil && !l.Own {
		b.Sibling = n.parent.image.Name
	}
	return b
}
