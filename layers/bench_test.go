package layers

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// repeated is a large file that takes no memory: one block, many times.
type repeated struct {
	block []byte
	times int
}

func (r repeated) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(&repeatedReader{r, 0}), nil
}

type repeatedReader struct {
	repeated
	at int
}

func (r *repeatedReader) Read(p []byte) (int, error) {
	total := len(r.block) * r.times
	if r.at >= total {
		return 0, io.EOF
	}
	n := copy(p, r.block[r.at%len(r.block):])
	r.at += n
	return n, nil
}

// large makes a tree of files of 32 MiB each.
func large(tb testing.TB, files int, name string, block []byte) *rootfs.Tree {
	tb.Helper()
	content := repeated{block, (32 << 20) / len(block)}
	r, _ := content.Open(context.Background())
	data, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	e := rootfs.NewFile("x", 0o644, data)
	e.Content, e.Owner = content, "pkg:maven/a/b@1"
	tree := rootfs.NewTree(nil)
	for i := range files {
		e.Path = fmt.Sprintf("opt/%03d%s", i, name)
		if err := tree.Add(e); err != nil {
			tb.Fatal(err)
		}
	}
	return tree
}

// BenchmarkWrite packs 256 MiB and reports MB/s of the tar stream and the
// largest heap in MB that was seen meanwhile.
func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct {
		name  string
		file  string
		block []byte
	}{{"text", ".txt", sample()[:256<<10]}, {"jar", ".jar", noise(256<<10, 1)}} {
		for _, comp := range []Compression{Gzip, Zstd} {
			b.Run(c.name+"/"+string(comp), func(b *testing.B) {
				tree := large(b, 8, c.file, c.block)
				s := fetchtest.NewStore(b)
				stop, peak := watchHeap()
				b.SetBytes(8 * 32 << 20)
				b.ResetTimer()
				for range b.N {
					mustWrite(b, s, tree, Options{Compression: comp})
				}
				b.StopTimer()
				stop()
				b.ReportMetric(float64(peak.Load())/1e6, "peak-heap-MB")
			})
		}
	}
}

// TestMemoryDoesNotGrow packs a layer ten times as large as another one and
// holds both to the same bound.
func TestMemoryDoesNotGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("packs 320 MiB")
	}
	tree := large(t, 10, ".jar", noise(256<<10, 1))
	s := fetchtest.NewStore(t)
	runtime.GC()
	stop, peak := watchHeap()
	mustWrite(t, s, tree, Options{Pool: NewPool(2)})
	stop()
	// three chunks of 16 MiB and the compressors' tables, twice for the
	// collector's slack
	if got := peak.Load(); got > 150<<20 {
		t.Errorf("the heap grew to %d MB", got>>20)
	}
}

func watchHeap() (stop func(), peak *atomic.Uint64) {
	peak = new(atomic.Uint64)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapAlloc))
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-ended }, peak
}
