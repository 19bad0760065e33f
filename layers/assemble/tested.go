package assemble

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// Tester holds an image to its contract, and gives the predicate of the
// attestation that says so. It finds the image, and those that help, by find.
type Tester func(ctx context.Context, image *recipes.Image, find contract.Source) ([]byte, error)

// test holds an image to its contract before it is published. Images of other
// platforms than this machine's are not started.
func (n *node) test(ctx context.Context) error {
	r := n.run
	if r.Test == nil || n.image.Platform != recipes.Machine() {
		return nil
	}
	select {
	case r.testing <- struct{}{}: // one at a time: tests measure
		defer func() { <-r.testing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var err error
	n.tested, err = r.Test(ctx, n.image, func(ctx context.Context, want *recipes.Image) (contract.Image, error) {
		helper := r.by[place{want.Ref, want.Platform}]
		if helper == nil {
			return contract.Image{}, fmt.Errorf("the test of %s starts %s, which this run does not make: name it, too", n.image.Ref, want.Ref)
		}
		if err := helper.wait(ctx); err != nil {
			return contract.Image{}, err
		}
		return helper.forTest(ctx)
	})
	if err != nil {
		return fmt.Errorf("test %s: %w", n.image.Ref, err)
	}
	return nil
}

// forTest is the built image with the files of its layers.
func (n *node) forTest(ctx context.Context) (contract.Image, error) {
	i, err := contract.Describe(digest.Digest("sha256:"+string(n.built.Digest)), n.built.Config)
	if err != nil {
		return contract.Image{}, err
	}
	i.Reference = n.image.Ref.String()
	for at, l := range n.built.Layers {
		layer := &i.Layers[at]
		layer.Digest, layer.Size = l.Blob.Digest, l.Descriptor().Size
		if layer.File, err = n.run.Store.Path(ctx, l.Blob.Digest); err != nil {
			return contract.Image{}, err
		}
	}
	return i, nil
}

// testResult is the attestation of the test, where there was one.
func (n *node) testResult() []publish.Attestation {
	if n.tested == nil {
		return nil
	}
	return []publish.Attestation{{
		PredicateType: contract.PredicateType,
		Key:           bytesKey(n.tested),
		Predicate:     func(context.Context) ([]byte, error) { return n.tested, nil },
	}}
}
