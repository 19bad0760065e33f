package archive

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Early reads tar archives while they are downloaded, so that Expand need not:
// the reading takes longer than the hashing that a download waits for, and on
// another processor it costs no time. At most jobs are read at a time, and what
// comes meanwhile is left to Expand, as is every fault: no index is kept of an
// archive whose digest is another, or that cannot be read. What a packed one of
// another digest holds lies in the store as an object that nothing names, until
// garbage collection.
func Early(s *fetch.Store, jobs int) fetch.Early {
	slots := make(chan struct{}, max(jobs, 1))
	return func(ctx context.Context, a recipes.Artifact, content io.Reader) func() error {
		if a.Kind != recipes.KindTarball && a.Kind != recipes.KindMaven && a.Kind != recipes.KindPyPI {
			return nil // packages are taken apart by their own rules
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			return nil
		}
		x, err := earlyIndex(ctx, s, a.SHA256, content)
		if x == nil || err != nil {
			return nil
		}
		return func() error { return x.remember(s, string(a.SHA256)) }
	}
}

// earlyIndex is the index of a tar stream, bare or compressed; nil where it is
// something else.
func earlyIndex(ctx context.Context, s *fetch.Store, blob recipes.Digest, content io.Reader) (*index, error) {
	in := &counter{r: content}
	buffered := bufio.NewReaderSize(in, 128<<10)
	start, _ := buffered.Peek(blockSize) // a shorter file is none
	switch kind := kindOf(start); {
	case kind == "zip" || kind == "empty zip" || len(start) < blockSize:
		return nil, nil
	case kind != "":
		return spoolTar(ctx, s, func() (io.ReadCloser, error) { return ReaderLimit(buffered, Limits{}) }, Limits{}, "")
	case !bytes.HasPrefix(start[257:], []byte("ustar")):
		return nil, nil
	}
	x, err := readTar(ctx, buffered, nil, Limits{})
	if err != nil {
		return nil, err
	}
	x.Object, x.Size = blob, in.n
	return x, nil
}
