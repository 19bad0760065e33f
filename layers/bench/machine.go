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

// machine is what this machine does, in bytes a second of one core.
type machine struct {
	cores                    int
	read, hash, gzip, gunzip float64
}

// gauge measures the machine by some of the files of the first row.
type gauge struct {
	path   string
	data   []byte
	packed bytes.Buffer // its memory is used again, so that none is fresh
}

func newGauge(ctx context.Context, work string) (*gauge, error) {
	g := &gauge{path: filepath.Join(work, "sample.tar")}
	err := writeTree(ctx, g.path, 32<<20)
	if err == nil {
		g.data, err = os.ReadFile(g.path)
	}
	g.machine() // what comes first is slower
	return g, err
}

// machine takes each rate once.
func (g *gauge) machine() machine {
	m := machine{cores: runtime.GOMAXPROCS(0)}
	m.read = g.rate(func() error {
		f, err := os.Open(g.path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, onlyReader{f})
		return err
	})
	m.hash = g.rate(func() error { sha256.Sum256(g.data); return nil })
	m.gzip = g.rate(func() error {
		g.packed.Reset()
		w, err := gzip.NewWriterLevel(&g.packed, 6)
		if err != nil {
			return err
		}
		if _, err := w.Write(g.data); err != nil {
			return err
		}
		return w.Close()
	})
	m.gunzip = g.rate(func() error {
		r, err := gzip.NewReader(bytes.NewReader(g.packed.Bytes()))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r)
		return err
	})
	return m
}

// onlyReader hides the shortcuts of files.
type onlyReader struct{ io.Reader }

// rate is 0 where the work fails.
func (g *gauge) rate(work func() error) float64 {
	start := time.Now()
	if work() != nil {
		return 0
	}
	return float64(len(g.data)) / time.Since(start).Seconds()
}

// usual takes the median of each rate.
func usual(all []machine) machine {
	return machine{
		cores:  all[0].cores,
		read:   median(all, func(m machine) float64 { return m.read }),
		hash:   median(all, func(m machine) float64 { return m.hash }),
		gzip:   median(all, func(m machine) float64 { return m.gzip }),
		gunzip: median(all, func(m machine) float64 { return m.gunzip }),
	}
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
