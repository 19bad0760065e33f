package interrupt

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := Reader(ctx, iotest.OneByteReader(strings.NewReader("content")))
	if n, err := r.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Fatalf("a read before the end: %d bytes, %v", n, err)
	}
	cancel()
	if rest, err := io.ReadAll(r); len(rest) > 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("a read after the end: %q, %v", rest, err)
	}
}

func TestReaderGivesAll(t *testing.T) {
	if err := iotest.TestReader(Reader(t.Context(), strings.NewReader("content")), []byte("content")); err != nil {
		t.Error(err)
	}
}
