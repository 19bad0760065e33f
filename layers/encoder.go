package layers

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/shudl/shudl-assemble/recipes"
)

// This is the one file that knows the compressor. Only its stream interface
// is used: what it writes does not depend on the number of processors, on the
// size of writes or on assembly code.

// encode compresses one chunk as a gzip member or zstd frame of its own.
func encode(dst io.Writer, src []byte, c Compression, cheap bool) error {
	return encoders(nil).encode(dst, src, c, cheap)
}

// encoder makes a fresh compressor.
func encoder(dst io.Writer, c Compression, cheap bool) (io.WriteCloser, error) {
	if c == Zstd {
		level := zstd.SpeedDefault
		if cheap {
			level = zstd.SpeedFastest
		}
		return zstd.NewWriter(dst, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	}
	w, err := gzip.NewWriterLevel(dst, levelOf(cheap))
	if err != nil {
		return nil, err
	}
	empty(w)
	return w, nil
}

// levelOf is gzip's level.
func levelOf(cheap bool) int {
	if cheap {
		return gzipCheapLevel
	}
	return gzipLevel
}

// empty makes the header of a gzip member an empty one: no name, no time, and
// 255 for the operating system, which is the library's own.
func empty(w *gzip.Writer) {
	w.ModTime = time.Unix(0, 0) // this library writes a zero time.Time as a date in 2042
}

// encoders keeps gzip compressors that are idle, by level: a used one writes
// what a fresh one does, and its megabyte of tables is not made and cleared anew
// for every small package. Those of zstd hold 25 MB and are not kept. The zero
// value keeps none.
type encoders map[int]chan *gzip.Writer

// newEncoders keeps up to n of each level.
func newEncoders(n int) encoders {
	return encoders{gzipLevel: make(chan *gzip.Writer, n), gzipCheapLevel: make(chan *gzip.Writer, n)}
}

// encode compresses one chunk as a gzip member or zstd frame of its own.
func (e encoders) encode(dst io.Writer, src []byte, c Compression, cheap bool) error {
	w, err := e.take(dst, c, cheap)
	if err != nil {
		return err
	}
	if _, err := w.Write(src); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	e.leave(w, cheap)
	return nil
}

// take gives an idle compressor, or a fresh one.
func (e encoders) take(dst io.Writer, c Compression, cheap bool) (io.WriteCloser, error) {
	if c == Zstd {
		return encoder(dst, c, cheap)
	}
	select {
	case w := <-e[levelOf(cheap)]:
		w.Reset(dst)
		empty(w)
		return w, nil
	default:
		return encoder(dst, c, cheap)
	}
}

// leave keeps a compressor for the next chunk, and nothing of what it wrote to.
func (e encoders) leave(w io.WriteCloser, cheap bool) {
	idle, ok := w.(*gzip.Writer)
	if !ok {
		return
	}
	idle.Reset(io.Discard)
	select {
	case e[levelOf(cheap)] <- idle:
	default:
	}
}

// opening is how what encode writes of a chunk of some bytes begins: the header
// of a gzip member, or that of a zstd frame. Before it has compressed a whole
// block, the encoder of zstd does not know how long the chunk is.
func opening(size int, c Compression, cheap bool) []byte {
	if c != Zstd {
		level := byte(0)
		if cheap {
			level = 4 // the fastest
		}
		return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, level, 255}
	}
	h, block := zstd.Header{WindowSize: 8 << 20, HasCheckSum: true}, 128<<10
	if cheap {
		h.WindowSize, block = 4<<20, 64<<10
	}
	if size < block {
		h.FrameContentSize, h.SingleSegment = uint64(size), size > zstd.MinWindowSize
		h.WindowSize = max(zstd.MinWindowSize, uint64(1)<<bits.Len(uint(size)))
	}
	out, _ := h.AppendTo(nil) // its error is always nil
	return out
}

// decompressOne reads one gzip member of r and nothing behind it, or all zstd
// frames of r.
func decompressOne(r *bufio.Reader, c Compression) (io.ReadCloser, error) {
	z, err := Decompress(r, c.MediaType())
	if one, ok := z.(*gzip.Reader); ok && err == nil {
		one.Multistream(false)
	}
	return z, err
}

// Decompress reads the tar stream of a layer blob by its OCI media type.
func Decompress(r io.Reader, mediaType string) (io.ReadCloser, error) {
	switch mediaType {
	case Gzip.MediaType():
		return gzip.NewReader(r)
	case Zstd.MediaType():
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("layer of the media type %q: want tar+gzip or tar+zstd", mediaType)
}

// maxWindow is the most memory that a zstd frame may ask for, in bytes; what
// is written here asks for 8 MiB.
const maxWindow = 128 << 20

// decompress reads a stream of gzip members.
func decompress(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }

// golden compresses a fixed sample at both levels of some compressions.
func golden(of ...Compression) (recipes.Digest, error) {
	var out bytes.Buffer
	in := sample()
	for _, c := range of {
		for _, cheap := range []bool{false, true} {
			if err := encode(&out, in, c, cheap); err != nil {
				return "", err
			}
		}
	}
	sum := sha256.Sum256(out.Bytes())
	return recipes.Digest(hex.EncodeToString(sum[:])), nil
}

// sample is 384 KiB of words and noise, the same everywhere.
func sample() []byte {
	const size = 384 << 10
	out := make([]byte, 0, size+16) // fmt would take longer than all the compressors
	state := uint32(1)
	next := func() uint32 {
		state = state*1664525 + 1013904223 // Numerical Recipes' generator
		return state >> 16
	}
	for len(out) < size {
		if n := next(); n%7 == 0 {
			out = append(out, byte(n>>8))
		} else {
			out = append(strconv.AppendUint(append(out, "word"...), uint64(n%512), 10), ' ')
		}
	}
	return out[:size]
}

// CheckEncoder says whether the compressor in this program makes the bytes
// that EncoderGolden promises of the compression that is used. It takes some
// milliseconds; that of zstd also 25 MB, which is why nobody else pays for it.
func CheckEncoder(used Compression) error {
	want := gzipGolden
	if used == Zstd {
		want = zstdGolden
	}
	got, err := golden(used)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("this program was built with another compressor than %s: its layers would get other digests", compressor)
	}
	return nil
}
