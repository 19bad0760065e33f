package layers

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
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
		err := out.take(io.NewSectionReader(bytes.NewReader(want), 0, int64(len(want))), chunk, Gzip, false)
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

// TestOutputTakesOnlyTheEncodersBytes changes what decompressing does not show:
// the header, and how the chunk is divided.
func TestOutputTakesOnlyTheEncodersBytes(t *testing.T) {
	chunk := bytes.Repeat([]byte("chunk "), 1<<17)
	encoded := func(of []byte, as Compression, cheap bool) []byte {
		var piece bytes.Buffer
		if err := encode(&piece, of, as, cheap); err != nil {
			t.Fatal(err)
		}
		return piece.Bytes()
	}
	at := func(i int, value byte) func(Compression, []byte) []byte {
		return func(_ Compression, b []byte) []byte { b[i] = value; return b }
	}
	both, gzip := []Compression{Gzip, Zstd}, []Compression{Gzip}
	for name, c := range map[string]struct {
		as     []Compression
		change func(as Compression, piece []byte) []byte
		ok     bool
	}{
		"its own":         {both, func(_ Compression, b []byte) []byte { return b }, true},
		"the other level": {both, func(as Compression, _ []byte) []byte { return encoded(chunk, as, true) }, false},
		"a time":          {gzip, at(4, 1), false},
		"the best level":  {gzip, at(8, 2), false},
		"a system":        {gzip, at(9, 3), false},
		"the text flag":   {gzip, at(3, 1), false},
		"a name":          {gzip, func(_ Compression, b []byte) []byte { b[3] = 8; return slices.Insert(b, 10, 'a', 0) }, false},
		"two members": {gzip, func(as Compression, _ []byte) []byte {
			return append(encoded(chunk[:600], as, false), encoded(chunk[600:], as, false)...)
		}, false},
		"an empty one behind": {gzip, func(as Compression, b []byte) []byte { return append(b, encoded(nil, as, false)...) }, false},
		"another window":      {[]Compression{Zstd}, func(_ Compression, b []byte) []byte { b[5] += 8; return b }, false},
		"the unused bit":      {[]Compression{Zstd}, func(_ Compression, b []byte) []byte { b[4] |= 16; return b }, false},
	} {
		for _, as := range c.as {
			piece := c.change(as, encoded(chunk, as, false))
			z, err := Decompress(bytes.NewReader(piece), as.MediaType())
			if err != nil {
				t.Fatal(err)
			}
			if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, chunk) {
				t.Errorf("%s as %s: it does not decompress to the chunk: %v", name, as, err)
			}
			out := newOutput(NewPool(1), len(chunk))
			err = out.take(io.NewSectionReader(bytes.NewReader(piece), 0, int64(len(piece))), chunk, as, false)
			if handed := len(out.blocks) > 0; (err == nil) != c.ok || handed != c.ok {
				t.Errorf("%s as %s: %v, handed on: %t", name, as, err, handed)
			}
		}
	}
}

// otherwise compresses the chunk of a piece at the fastest level, and gives it
// the piece's header: bytes that only compressing the chunk tells from those.
func otherwise(t *testing.T, piece []byte, as Compression) []byte {
	t.Helper()
	z, err := Decompress(bytes.NewReader(piece), as.MediaType())
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := encode(&out, chunk, as, true); err != nil {
		t.Fatal(err)
	}
	cheap := opening(len(chunk), as, true)
	own := opening(len(chunk), as, bytes.HasPrefix(piece, cheap))
	return slices.Concat(own, out.Bytes()[len(cheap):])
}
