package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Measure makes the tar stream of a layer without compressing or keeping it:
// of the blob it knows DiffID, Uncompressed and Tree. What was packed
// elsewhere is known by its diffID, however it was compressed. The content of
// every file is held to the sha256 and size of its entry.
func Measure(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, o Options) (Blob, error) {
	blob, err := measure(ctx, s, entries, o)
	if err != nil {
		return Blob{}, fmt.Errorf("measure layer %s: %w", o.Name, err)
	}
	return blob, nil
}

func measure(ctx context.Context, s *fetch.Store, entries []rootfs.Entry, o Options) (Blob, error) {
	members, err := arrange(entries)
	if err != nil {
		return Blob{}, err
	}
	tree, err := storeTree(ctx, s, entries)
	if err != nil {
		return Blob{}, err
	}
	sum := counter{hash: sha256.New()}
	tar := newTarWriter(&sum, o)
	for _, m := range members {
		if err := tar.member(ctx, m); err != nil {
			return Blob{}, err
		}
	}
	if err := tar.trailer(); err != nil {
		return Blob{}, err
	}
	return Blob{DiffID: recipes.Digest(hex.EncodeToString(sum.hash.Sum(nil))), Uncompressed: sum.size, Tree: tree}, nil
}

// counter hashes and counts.
type counter struct {
	hash hash.Hash
	size int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	return c.hash.Write(p)
}
