package layers

import (
	"bytes"
	"io"
	"math"
	"os"
	"testing"
)

// TestUsedEncoders: what a compressor wrote before does not show in what it
// writes next.
func TestUsedEncoders(t *testing.T) {
	used := newEncoders(1)
	inputs := [][]byte{sample(), words(1, 300_000), nil, noise(200_000, 2), words(1, 70_000), bytes.Repeat([]byte("a"), 1<<20), sample()[:1000], words(3, 5)}
	for _, cheap := range []bool{false, true} {
		for round := range 2 {
			for i, in := range inputs {
				var got, want bytes.Buffer
				if err := used.encode(&got, in, Gzip, cheap); err != nil {
					t.Fatal(err)
				}
				if err := encode(&want, in, Gzip, cheap); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("round %d, input %d, cheap %t: a used compressor writes %d bytes, a fresh one %d other ones", round, i, cheap, got.Len(), want.Len())
				}
			}
		}
		if idle := len(used[levelOf(cheap)]); idle != 1 {
			t.Errorf("%d compressors are kept", idle)
		}
	}
}

// TestOpening holds the header that pieces are held to to the encoder's, on both
// sides of each size at which that of zstd becomes another.
func TestOpening(t *testing.T) {
	in := noise(300_000, 3)
	for _, size := range []int{1, 255, 256, 512, 1023, 1024, 1025, 65535, 65536, 65537, 65791, 65792, 128<<10 - 1, 128 << 10, 128<<10 + 1, 300_000} {
		for _, as := range []Compression{Gzip, Zstd} {
			for _, cheap := range []bool{false, true} {
				var out bytes.Buffer
				if err := encode(&out, in[:size], as, cheap); err != nil {
					t.Fatal(err)
				}
				if want := opening(size, as, cheap); !bytes.HasPrefix(out.Bytes(), want) {
					t.Errorf("%d bytes as %s, cheap %t, begin with %x, not %x", size, as, cheap, out.Bytes()[:len(want)], want)
				}
			}
		}
	}
}

// TestEncodersAfterGigabytes: positions are counted in 31 bits, from the first
// chunk of a compressor on.
func TestEncodersAfterGigabytes(t *testing.T) {
	if os.Getenv("SHUDL_TEST_FULL") == "" {
		t.Skip("compresses two gigabytes twice: set SHUDL_TEST_FULL")
	}
	used := newEncoders(1)
	zeros := make([]byte, chunkSize)
	for _, cheap := range []bool{false, true} {
		for written := 0; written < math.MaxInt32; written += len(zeros) {
			if err := used.encode(io.Discard, zeros, Gzip, cheap); err != nil {
				t.Fatal(err)
			}
			if written < math.MaxInt32-4*chunkSize {
				continue // before the count begins anew
			}
			var got, want bytes.Buffer
			if err := used.encode(&got, sample(), Gzip, cheap); err != nil {
				t.Fatal(err)
			}
			if err := encode(&want, sample(), Gzip, cheap); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("after %d bytes, cheap %t: other bytes than a fresh compressor's", written, cheap)
			}
		}
	}
}
