package layers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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
	w, err := encoder(dst, c, cheap)
	if err != nil {
		return err
	}
	if _, err := w.Write(src); err != nil {
		return err
	}
	return w.Close()
}

// encoder makes a fresh compressor. The header of a gzip member is empty: no
// name, no time, and 255 for the operating system.
func encoder(dst io.Writer, c Compression, cheap bool) (io.WriteCloser, error) {
	if c == Zstd {
		level := zstd.SpeedDefault
		if cheap {
			level = zstd.SpeedFastest
		}
		return zstd.NewWriter(dst, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	}
	level := gzipLevel
	if cheap {
		level = gzipCheapLevel
	}
	w, err := gzip.NewWriterLevel(dst, level)
	if err != nil {
		return nil, err
	}
	w.ModTime = time.Unix(0, 0) // this library writes a zero time.Time as a date in 2042
	return w, nil
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
