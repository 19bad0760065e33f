package layers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"runtime"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// maxSlots bounds the chunks in memory, whatever the number of processors:
// each is chunkSize of input and as much of output as that comes to.
const maxSlots = 10

// Pool bounds what all layers that are packed at the same time may use:
// processors that compress, and chunks in memory.
type Pool struct {
	processors chan struct{}
	slots      chan *slot
}

// slot is the memory of one chunk.
type slot struct {
	in  []byte
	out bytes.Buffer
}

// compress fills out with what in is compressed to: the piece of an earlier
// layer, where there is one and it is that.
func (s *slot) compress(piece *io.SectionReader, c Compression, cheap bool) error {
	if piece != nil && s.take(piece, c) == nil {
		return nil
	}
	s.out.Reset()
	s.out.Grow(room(cheap))
	return encode(&s.out, s.in, c, cheap)
}

// clear makes a slot ready for a chunk; its memory is taken at first use.
func (s *slot) clear() {
	if s.in == nil {
		s.in = make([]byte, 0, chunkSize)
	}
	s.in = s.in[:0]
	s.out.Reset()
}

// room is what a chunk may come to: half of it, but all of it and a little
// more where it is compressed already.
func room(cheap bool) int {
	if cheap {
		return chunkSize + chunkSize/128
	}
	return chunkSize / 2
}

// NewPool lets jobs chunks be compressed at a time; 0 means as many as there
// are processors. One chunk more is filled meanwhile. Memory is 12 to 16 MiB
// for each of ten chunks at most, 24 where a chunk turns out not to compress.
func NewPool(jobs int) *Pool {
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	slots := min(jobs+1, maxSlots)
	p := &Pool{processors: make(chan struct{}, min(jobs, slots)), slots: make(chan *slot, slots)}
	for range slots {
		p.slots <- &slot{}
	}
	return p
}

// pack writes members as one compressed stream and gives the digest and
// length of the stream before compression.
func pack(ctx context.Context, out io.Writer, members []member, known *reuse, o Options) (_ recipes.Digest, _ int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sink progress.Sink = progress.Discard{}
	if o.Progress != nil {
		sink = o.Progress
	}
	task := sink.Start("compress", o.Name)
	defer func() { task.Done(err) }()
	task.Total(weight(members))
	c := newChunker(ctx, cancel, known, o, task)
	go c.drain(out)
	err = c.members(members)
	if end := c.finish(); err == nil {
		err = end
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the first thing that went wrong
	}
	return recipes.Digest(hex.EncodeToString(c.diff.Sum(nil))), c.size, err
}

// weight estimates the tar stream's length for progress.
func weight(members []member) int64 {
	var total int64
	for _, m := range members {
		for _, e := range m.entries {
			total += block + e.Size + padding(e.Size)
		}
	}
	return total + 2*block
}

// chunker cuts a stream into chunks, has them compressed in parallel and
// writes the results in order.
type chunker struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	pool   *Pool
	known  *reuse
	opt    Options
	task   progress.Task

	diff hash.Hash
	size int64

	member string // key of the member, where it is worth remembering
	taken  *taken // its pieces in an earlier layer, nil where there are none
	cheap  bool
	slot   *slot       // being filled
	queue  chan *chunk // in order
	done   chan struct{}
}

// chunk is one piece on its way: ready is closed when slot.out is complete.
type chunk struct {
	member string
	slot   *slot
	ready  chan struct{}
}

func newChunker(ctx context.Context, cancel context.CancelCauseFunc, known *reuse, o Options, task progress.Task) *chunker {
	pool := o.Pool
	if pool == nil {
		pool = NewPool(0)
	}
	return &chunker{
		ctx: ctx, cancel: cancel, pool: pool, known: known, opt: o, task: task, diff: sha256.New(),
		queue: make(chan *chunk, cap(pool.slots)), done: make(chan struct{}),
	}
}

// members writes the tar stream, one member after the other.
func (c *chunker) members(members []member) error {
	tar := newTarWriter(c, c.opt)
	keys := c.known.plan(tar, members)
	for i, m := range members {
		c.begin(m, keys[i])
		if err := tar.member(c.ctx, m); err != nil {
			return err
		}
		c.cut()
	}
	c.begin(member{}, "")
	return tar.trailer()
}

// begin turns to the next member.
func (c *chunker) begin(m member, key string) {
	c.cheap, c.member, c.taken = m.cheap, key, c.known.find(key)
}

// Write takes a piece of the tar stream.
func (c *chunker) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	c.task.Add(int64(len(p)))
	for rest := p; len(rest) > 0; {
		if c.slot == nil {
			select {
			case c.slot = <-c.pool.slots:
				c.slot.clear()
			case <-c.ctx.Done():
				return 0, context.Cause(c.ctx)
			}
		}
		n := min(len(rest), chunkSize-len(c.slot.in))
		c.slot.in = append(c.slot.in, rest[:n]...)
		rest = rest[n:]
		if len(c.slot.in) == chunkSize {
			c.cut()
		}
	}
	return len(p), nil
}

// cut ends the chunk and has it compressed. The queue holds as many chunks as
// there are slots.
func (c *chunker) cut() {
	if c.slot == nil {
		return
	}
	next := &chunk{member: c.member, slot: c.slot, ready: make(chan struct{})}
	c.slot = nil
	c.queue <- next
	piece, cheap := c.taken.next(), c.cheap
	go func() {
		defer close(next.ready)
		c.pool.processors <- struct{}{}
		defer func() { <-c.pool.processors }()
		if c.ctx.Err() != nil {
			return
		}
		if err := next.slot.compress(piece, c.opt.Compression, cheap); err != nil {
			c.cancel(err)
		}
	}()
}

// drain hashes chunks in order while they are compressed, writes what they came
// to and gives their memory back.
func (c *chunker) drain(out io.Writer) {
	defer close(c.done)
	var at int64
	for next := range c.queue {
		c.diff.Write(next.slot.in)
		<-next.ready
		if c.ctx.Err() == nil {
			n, err := out.Write(next.slot.out.Bytes())
			if err != nil {
				c.cancel(err)
			}
			if next.member != "" {
				c.known.note(next.member, at, int64(n))
			}
			at += int64(n)
		}
		c.pool.slots <- next.slot
	}
}

// finish waits until everything is written.
func (c *chunker) finish() error {
	c.cut()
	close(c.queue)
	<-c.done
	return context.Cause(c.ctx)
}
