package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/rootfs/interrupt"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

type reader = io.ReadCloser

// counted tells a task of what is read.
func counted(ctx context.Context, open func(context.Context) (reader, error), task progress.Task) (reader, error) {
	rc, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return &countingReader{rc, task}, nil
}

type countingReader struct {
	io.ReadCloser
	task progress.Task
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.task.Add(int64(n))
	return n, err
}

// verified wraps a reader so that it fails, at the latest at the end, where
// the bytes are not those of the descriptor.
func verified(rc reader, d ocispec.Descriptor) reader {
	return &verifyingReader{ReadCloser: rc, want: d, hash: sha256.New()}
}

type verifyingReader struct {
	io.ReadCloser
	want ocispec.Descriptor
	hash hash.Hash
	read int64
}

func (r *verifyingReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.hash.Write(b[:n])
	r.read += int64(n)
	if r.read > r.want.Size {
		return n, fmt.Errorf("%w: %s is longer than %d bytes", ErrCorrupt, r.want.Digest, r.want.Size)
	}
	if err != io.EOF {
		return n, err
	}
	if r.read != r.want.Size || "sha256:"+hex.EncodeToString(r.hash.Sum(nil)) != r.want.Digest.String() {
		return n, fmt.Errorf("%w: %s (%d of %d bytes)", ErrCorrupt, r.want.Digest, r.read, r.want.Size)
	}
	return n, io.EOF
}

// Rehash reads a blob to its end, where it is held to its digest and size.
func Rehash(ctx context.Context, repo Repository, d ocispec.Descriptor) error {
	rc, err := repo.Blob(ctx, d)
	if err != nil {
		return err
	}
	defer rc.Close()
	_, err = io.Copy(io.Discard, interrupt.Reader(ctx, rc))
	return err
}
