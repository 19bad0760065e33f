package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// Early reads an artefact while it is downloaded. content blocks until more of
// it is there; it ends with an error where the download fails or begins anew,
// and with io.EOF before anybody knows whether the bytes are those of the
// artefact. keep is called once they are, and the file is in the store; nil
// keeps nothing. An Early that returns before the end has lost interest.
type Early func(ctx context.Context, a recipes.Artifact, content io.Reader) (keep func() error)

// errAnew ends the early reading of a file that is downloaded anew.
var errAnew = errors.New("the download begins anew")

// follower runs an Early beside a download. A nil one does nothing.
type follower struct {
	growing *growing
	stop    context.CancelFunc
	done    chan struct{}
	keep    func() error
}

// follow begins to read a file at its start.
func (p *partial) follow(ctx context.Context, read func(context.Context, io.Reader) func() error) (*follower, error) {
	if read == nil {
		return nil, nil
	}
	file, err := os.Open(p.file.Name())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	f := &follower{growing: &growing{file: file, size: p.size}, stop: stop, done: make(chan struct{})}
	f.growing.more = sync.NewCond(&f.growing.mu)
	p.growing = f.growing
	go func() {
		defer close(f.done)
		defer file.Close()
		f.keep = read(ctx, interrupt.Reader(ctx, f.growing))
	}()
	return f, nil
}

// whole waits for the end of the reading, and keeps what came of it.
func (f *follower) whole() error {
	if f == nil {
		return nil
	}
	<-f.done
	if f.keep == nil || f.growing.failed() {
		return nil
	}
	return f.keep()
}

// close ends the reading, wherever it is.
func (f *follower) close() {
	if f == nil {
		return
	}
	f.growing.end(context.Canceled)
	f.stop()
	<-f.done
}

// growing is a file that is read while it is written.
type growing struct {
	file *os.File
	at   int64 // the reader's own

	mu   sync.Mutex
	more *sync.Cond
	size int64 // of what was written
	err  error // io.EOF once that is all, or why there is no more
}

// grow says that the file has so many bytes now.
func (g *growing) grow(size int64) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size = size
	g.more.Signal()
}

// end says that no more comes. What failed once stays so, and what was whole
// may still turn out to be another file.
func (g *growing) end(err error) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil || g.err == io.EOF {
		g.err = err
	}
	g.more.Signal()
}

func (g *growing) failed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err != io.EOF
}

// left waits until there is something to read, and says how much.
func (g *growing) left() (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.at == g.size && g.err == nil {
		g.more.Wait()
	}
	if g.err != nil && g.err != io.EOF {
		return 0, g.err
	}
	if g.at < g.size {
		return g.size - g.at, nil
	}
	return 0, io.EOF
}

func (g *growing) Read(p []byte) (int, error) {
	left, err := g.left()
	if err != nil {
		return 0, err
	}
	n, err := g.file.ReadAt(p[:min(int64(len(p)), left)], g.at)
	g.at += int64(n)
	if err == io.EOF {
		err = errAnew // it was emptied meanwhile
	}
	return n, err
}
