package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/klauspost/compress/gzip"
)

// machine is what this machine does at best, in bytes a second of one core.
type machine struct {
	cores                    int
	read, hash, gzip, gunzip float64
}

// measureMachine takes each figure from the same files as the first row.
func measureMachine(ctx context.Context, s settings) (machine, error) {
	m := machine{cores: runtime.GOMAXPROCS(0)}
	path := filepath.Join(s.work, "sample.tar")
	if err := writeTree(ctx, path, 32<<20); err != nil {
		return m, err
	}
	defer os.Remove(path)
	data, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	m.read = rate(len(data), func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, onlyReader{f})
		return err
	})
	m.hash = rate(len(data), func() error { sha256.Sum256(data); return nil })
	var packed bytes.Buffer
	m.gzip = rate(len(data), func() error {
		packed.Reset()
		w, err := gzip.NewWriterLevel(&packed, 6)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		return w.Close()
	})
	m.gunzip = rate(len(data), func() error {
		r, err := gzip.NewReader(bytes.NewReader(packed.Bytes()))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r)
		return err
	})
	return m, nil
}

// onlyReader hides the shortcuts of files.
type onlyReader struct{ io.Reader }

// rate is the best of three, since only the best says what the machine can do.
func rate(bytes int, work func() error) float64 {
	var best float64
	for range 3 {
		start := time.Now()
		if work() != nil {
			return 0
		}
		best = max(best, float64(bytes)/time.Since(start).Seconds())
	}
	return best
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores; of one core, MB/s: read %.0f, sha256 %.0f, gzip level 6 %.0f, gunzip %.0f",
		m.cores, m.read/1e6, m.hash/1e6, m.gzip/1e6, m.gunzip/1e6)
}

// packing is the least time for a layer: every byte read, hashed and
// compressed once, over all cores.
func (m machine) packing(bytes int64) time.Duration {
	one := float64(bytes) * (1/m.read + 1/m.hash + 1/m.gzip)
	return time.Duration(one / float64(m.cores) * float64(time.Second))
}
