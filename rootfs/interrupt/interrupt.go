// Package interrupt ends long reads when their context ends.
package interrupt

import (
	"context"
	"io"
)

// Reader gives what r gives until ctx ends, and then ctx's error. A read that
// has begun is not cut short.
func Reader(ctx context.Context, r io.Reader) io.Reader {
	return reader{ctx, r}
}

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
