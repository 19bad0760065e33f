package layers

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	kgzip "github.com/klauspost/compress/gzip"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// packing is a chunker without a tree, and what it writes.
func packing(t *testing.T, p *Pool, out io.Writer) *chunker {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	c := newChunker(ctx, cancel, newReuse(nil), Options{Pool: p}, progress.Discard{}.Start("", ""))
	go c.drain(out)
	return c
}

// ofSize is a member that begin takes for one of so many bytes.
func ofSize(n int) member { return member{entries: []rootfs.Entry{{Size: int64(n)}}} }

// pieces are the streams that a blob is the concatenation of, each unpacked.
func pieces(t *testing.T, blob []byte) [][]byte {
	t.Helper()
	in := bytes.NewReader(blob)
	z, err := kgzip.NewReader(in)
	var all [][]byte
	for err == nil {
		z.Multistream(false)
		var one []byte
		if one, err = io.ReadAll(z); err == nil {
			all = append(all, one)
			err = z.Reset(in)
		}
	}
	if err != io.EOF {
		t.Error(err)
	}
	return all
}

func words(seed byte, n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	for i := range data {
		data[i] = data[i]&7 + '0'
	}
	return data
}

// TestSmallMembersDoNotWait: while the compressor is busy with something that
// takes long, members behind it are still taken in, and other processors would
// find them. Only memory bounds how many.
func TestSmallMembersDoNotWait(t *testing.T) {
	pool := NewPool(1) // two slots
	pool.processors.take(nil, 0)
	var out bytes.Buffer
	c := packing(t, pool, &out)
	var want [][]byte
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 20 {
			m := words(byte(i), 100_000+i)
			want = append(want, m)
			c.begin(ofSize(len(m)), "")
			if _, err := c.Write(m); err != nil {
				t.Error(err)
			}
			c.cut()
		}
	}()
	select {
	case <-written:
	case <-time.After(time.Minute):
		t.Error("small members wait for the first to be compressed")
	}
	pool.processors.leave()
	<-written
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	got := pieces(t, out.Bytes())
	if len(got) != len(want) {
		t.Fatalf("%d pieces, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("piece %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
	if len(pool.slots) != cap(pool.slots) {
		t.Errorf("%d of %d slots are back", len(pool.slots), cap(pool.slots))
	}
}

// TestMembersLargerThanExpected packs several layers at a time with two slots,
// of members that come to more than begin knew: what does not fit goes on in
// another place, and is cut where it would have been.
func TestMembersLargerThanExpected(t *testing.T) {
	pool := NewPool(1)
	var all sync.WaitGroup
	for layer := range byte(3) {
		all.Go(func() {
			var out bytes.Buffer
			c := packing(t, pool, &out)
			var want [][]byte
			for i, n := range []int{5 << 20, 5 << 20, chunkSize + 1000, 10, 2*chunkSize - 1, 1000} {
				m := words(layer*8+byte(i), n)
				c.begin(member{cheap: true}, "")
				for rest := m; len(rest) > 0; {
					k, err := c.Write(rest[:min(len(rest), 300_000)])
					if err != nil {
						t.Error(err)
						return
					}
					rest = rest[k:]
				}
				c.cut()
				for ; len(m) > chunkSize; m = m[chunkSize:] {
					want = append(want, m[:chunkSize])
				}
				want = append(want, m)
			}
			if err := c.finish(); err != nil {
				t.Error(err)
			}
			got := pieces(t, out.Bytes())
			if len(got) != len(want) {
				t.Errorf("%d pieces, want %d", len(got), len(want))
				return
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("piece %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
				}
			}
		})
	}
	all.Wait()
	if len(pool.slots) != cap(pool.slots) {
		t.Errorf("%d of %d slots are back", len(pool.slots), cap(pool.slots))
	}
}
