package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// maxSlots bounds the chunks in memory, whatever the number of processors:
// each is chunkSize of input and, while others are before it, as much of output
// as that comes to.
const maxSlots = 10

// Pool bounds what all layers that are packed at the same time may use:
// processors that compress, and chunks in memory.
type Pool struct {
	processors *processors
	encoders   encoders
	slots      chan *slot
	blocks     chan []byte // spare ones
}

// slot is the memory of one large chunk, or of several small ones, so that a
// large one which takes long leaves the other processors enough to do: what
// comes behind it is written after it, and holds its memory until then.
type slot struct {
	in    []byte
	users atomic.Int32 // who fills it, and the chunks in it
	own   bool         // not one of the pool
}

// chunk is one piece on its way.
type chunk struct {
	member string
	slot   *slot
	in     []byte // of the slot
	out    *output
}

// compress fills out with what in is compressed to: the piece of an earlier
// layer, where there is one and it is that.
func (c *chunk) compress(with encoders, piece *io.SectionReader, as Compression, cheap bool) error {
	if piece != nil && c.out.take(piece, c.in, as, cheap) == nil {
		return nil
	}
	err := with.encode(c.out, c.in, as, cheap)
	c.out.flush()
	return err
}

// clear makes a slot ready; its memory is taken at first use.
func (s *slot) clear() {
	if s.in == nil {
		s.in = make([]byte, 0, chunkSize)
	}
	s.in = s.in[:0]
	s.users.Store(1)
}

// leave gives the slot back once nobody uses it.
func (p *Pool) leave(s *slot) {
	if s.users.Add(-1) == 0 && !s.own {
		p.slots <- s
	}
}

// NewPool lets jobs chunks be compressed at a time; 0 means as many as there
// are processors. One chunk more is filled meanwhile. Memory is 8 to 16 MiB for
// each of ten chunks at most.
func NewPool(jobs int) *Pool {
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	slots := min(jobs+1, maxSlots)
	jobs = min(jobs, slots)
	p := &Pool{
		processors: &processors{free: jobs}, encoders: newEncoders(jobs),
		slots: make(chan *slot, slots), blocks: make(chan []byte, spareBlocks),
	}
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
	task := o.sink().Start("compress", o.Name)
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
	start  int         // of the chunk in it
	queue  chan *chunk // in order
	done   chan struct{}
}

// maxQueue is how many chunks may wait to be written. More do not fit into the
// slots where members are a few hundred KB, as most packages are.
const maxQueue = 128

func newChunker(ctx context.Context, cancel context.CancelCauseFunc, known *reuse, o Options, task progress.Task) *chunker {
	pool := o.Pool
	if pool == nil {
		pool = NewPool(0)
	}
	return &chunker{
		ctx: ctx, cancel: cancel, pool: pool, known: known, opt: o, task: task, diff: sha256.New(),
		queue: make(chan *chunk, maxQueue), done: make(chan struct{}),
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

// begin turns to the next member, whose first chunk goes into the slot of the
// last one if it fits.
func (c *chunker) begin(m member, key string) {
	if c.slot != nil && int64(len(c.slot.in))+min(weight([]member{m}), chunkSize) > chunkSize {
		c.turn()
	}
	c.cheap, c.member, c.taken = m.cheap, key, c.known.find(key)
}

// Write takes a piece of the tar stream.
func (c *chunker) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	c.task.Add(int64(len(p)))
	for rest := p; len(rest) > 0; {
		if err := c.ready(); err != nil {
			return 0, err
		}
		n := min(len(rest), chunkSize-len(c.slot.in))
		c.slot.in = append(c.slot.in, rest[:n]...)
		rest = rest[n:]
		if len(c.slot.in)-c.start == chunkSize {
			c.cut()
		}
	}
	return len(p), nil
}

// ready sees to a slot with room. Nobody waits for one who holds one, or all
// could wait for each other: so a chunk that comes to more than begin expected
// goes on in memory of its own.
func (c *chunker) ready() error {
	if c.slot != nil && len(c.slot.in) < chunkSize {
		return nil
	}
	if c.slot != nil && c.start < len(c.slot.in) {
		own := &slot{own: true}
		own.clear()
		own.in = append(own.in, c.slot.in[c.start:]...)
		c.turn()
		c.slot = own
		return nil
	}
	c.turn()
	select {
	case c.slot = <-c.pool.slots:
		c.slot.clear()
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// turn lets go of the slot that is being filled.
func (c *chunker) turn() {
	if c.slot != nil {
		c.pool.leave(c.slot)
	}
	c.slot, c.start = nil, 0
}

// cut ends the chunk and has it compressed.
func (c *chunker) cut() {
	if c.slot == nil || c.start == len(c.slot.in) {
		return
	}
	next := &chunk{member: c.member, slot: c.slot, in: c.slot.in[c.start:]}
	next.out = newOutput(c.pool, len(next.in))
	c.start = len(c.slot.in)
	c.slot.users.Add(1)
	c.queue <- next
	piece, cheap := c.taken.next(), c.cheap
	go func() {
		defer close(next.out.blocks)
		c.pool.processors.take(c, len(next.in))
		defer c.pool.processors.leave()
		if c.ctx.Err() != nil {
			return
		}
		if err := next.compress(c.pool.encoders, piece, c.opt.Compression, cheap); err != nil {
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
		c.diff.Write(next.in)
		n, err := next.out.writeTo(out, func() bool { return c.ctx.Err() != nil })
		if err != nil {
			c.cancel(err)
		}
		if next.member != "" {
			c.known.note(next.member, at, n)
		}
		at += n
		c.pool.leave(next.slot)
	}
}

// finish waits until everything is written.
func (c *chunker) finish() error {
	c.cut()
	c.turn()
	close(c.queue)
	<-c.done
	return context.Cause(c.ctx)
}
