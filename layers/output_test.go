package layers

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

func never() bool { return false }

// Whoever compresses a chunk must not wait for whoever writes it: there is
// room for what any compressor makes of bytes that do not compress.
func TestOutputHoldsAChunkWhole(t *testing.T) {
	noise := make([]byte, chunkSize)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(noise)
	for _, size := range []int{1, block, 3 * block, 100 << 10, 2*blockSize - 1, 2 * blockSize, 1 << 20, chunkSize} {
		for _, as := range []Compression{Gzip, Zstd} {
			for _, cheap := range []bool{false, true} {
				out := newOutput(NewPool(1), size)
				if err := encode(out, noise[:size], as, cheap); err != nil {
					t.Fatal(err)
				}
				out.flush() // the test would hang before this
				close(out.blocks)
				var got bytes.Buffer
				if n, err := out.writeTo(&got, never); err != nil || n != int64(got.Len()) || got.Len() > room(size) {
					t.Errorf("%d bytes as %s, cheap %t: %d written of %d: %v", size, as, cheap, n, got.Len(), err)
				}
				z, err := Decompress(&got, as.MediaType())
				if err != nil {
					t.Fatal(err)
				}
				if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, noise[:size]) {
					t.Errorf("%d bytes as %s, cheap %t: others come back: %v", size, as, cheap, err)
				}
			}
		}
	}
}

// watched is a writer that says when it was written to.
type watched chan int

func (c watched) Write(p []byte) (int, error) {
	c <- len(p)
	return len(p), nil
}

// TestOutputIsWrittenAsItComes holds the first chunk of a layer to being
// written while it is still compressed, and its memory to being used again.
func TestOutputIsWrittenAsItComes(t *testing.T) {
	pool := NewPool(1)
	out := newOutput(pool, chunkSize)
	wrote := make(watched)
	ended := make(chan int64)
	go func() {
		n, _ := out.writeTo(wrote, never)
		ended <- n
	}()
	part := make([]byte, blockSize)
	for i := range 3 * spareBlocks {
		if _, err := out.Write(part); err != nil {
			t.Fatal(err)
		}
		if i > 0 { // a block is handed on when the next is begun
			if n := <-wrote; n != blockSize {
				t.Fatalf("block %d: %d bytes", i, n)
			}
		}
	}
	if got := len(pool.blocks); got == 0 || got > 2 {
		t.Errorf("%d blocks lie in the pool: want the one or two that were written and not yet used again", got)
	}
	out.flush()
	close(out.blocks)
	<-wrote
	if n := <-ended; n != 3*int64(spareBlocks)*blockSize {
		t.Errorf("%d bytes written", n)
	}
}

// A piece that is not what the chunk is compressed to hands nothing on.
func TestOutputTakesOnlyItsOwn(t *testing.T) {
	chunk, other := bytes.Repeat([]byte("chunk "), 1<<17), bytes.Repeat([]byte("other "), 1<<17)
	for name, c := range map[string]struct {
		of   []byte
		more string
		ok   bool
	}{
		"its own":                   {of: chunk, ok: true},
		"another's":                 {of: other},
		"a part":                    {of: chunk[:1000]},
		"with more behind":          {of: chunk, more: "more"},
		"larger than it can become": {of: chunk, more: string(make([]byte, 2*len(chunk)))},
	} {
		var piece bytes.Buffer
		if err := encode(&piece, c.of, Gzip, false); err != nil {
			t.Fatal(err)
		}
		want := append(piece.Bytes(), c.more...)
		out := newOutput(NewPool(1), len(chunk))
		err := out.take(io.NewSectionReader(bytes.NewReader(want), 0, int64(len(want))), chunk, Gzip)
		close(out.blocks)
		var got bytes.Buffer
		if _, e := out.writeTo(&got, never); e != nil {
			t.Fatal(e)
		}
		if c.ok && (err != nil || !bytes.Equal(got.Bytes(), want)) {
			t.Errorf("%s: %v, %d bytes", name, err, got.Len())
		}
		if !c.ok && (err == nil || got.Len() > 0) {
			t.Errorf("%s: %v, %d bytes handed on", name, err, got.Len())
		}
	}
}
