package layers

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// blockSize is how much of a chunk's output is handed on at a time, in bytes.
const blockSize = 256 << 10

// spareBlocks is how many blocks a pool keeps for the next chunks: what a
// chunk comes to at most.
const spareBlocks = chunkSize/blockSize + 1

// output is what a chunk is compressed to, in blocks. Whoever writes the layer
// takes them as they come, once it is the chunk's turn: of chunks that are
// compressed at the same time only those behind the first are in memory whole.
type output struct {
	pool   *Pool
	size   int         // of the chunk
	block  []byte      // being filled
	blocks chan []byte // with room for all; closed when the chunk is complete
}

// newOutput is for a chunk of some size. No compressor makes twice as much of
// it, so that nobody who fills it waits: all who compress could.
func newOutput(p *Pool, size int) *output {
	return &output{pool: p, size: size, blocks: make(chan []byte, 2*size/blockSize+8)}
}

// Write takes a piece of the compressed stream.
func (o *output) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if len(o.block) == cap(o.block) {
			o.flush()
			o.block = o.pool.block(o.size)
		}
		n := min(len(rest), cap(o.block)-len(o.block))
		o.block = append(o.block, rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

// flush hands on what there is.
func (o *output) flush() {
	if len(o.block) > 0 {
		o.blocks <- o.block
	}
	o.block = nil
}

// writeTo writes the chunk to w as it comes, unless stop says that nothing is
// wanted any more, and gives the memory back. It returns when the chunk is
// complete.
func (o *output) writeTo(w io.Writer, stop func() bool) (n int64, err error) {
	for block := range o.blocks {
		if err == nil && !stop() {
			var more int
			more, err = w.Write(block)
			n += int64(more)
		}
		o.pool.spare(block)
	}
	return n, err
}

// block is empty memory for a part of what a chunk of some size comes to: half
// of it, as a rule.
func (p *Pool) block(size int) []byte {
	if size/2 < blockSize {
		return make([]byte, 0, size/2+128)
	}
	select {
	case b := <-p.blocks:
		return b[:0]
	default:
		return make([]byte, 0, blockSize)
	}
}

// spare keeps the memory of a block.
func (p *Pool) spare(block []byte) {
	if cap(block) != blockSize {
		return
	}
	select {
	case p.blocks <- block:
	default:
	}
}

// room is the most that a chunk may come to.
func room(size int) int { return size + size/128 + 128 }

// errOther says that a piece is not the chunk that it should be.
var errOther = errors.New("other bytes than those of the chunk")

// take fills the output with the piece of an earlier layer, if it is what the
// chunk is compressed to, as far as that shows without compressing: it begins
// with the header that the encoder writes, is one gzip member and nothing more,
// and decompresses to the chunk, checksums included. Not seen are bytes that
// another encoder, or somebody who knows how, made for the same chunk with that
// header, and a zstd frame behind the chunk's that comes to nothing. Nothing is
// handed on before all is known.
func (o *output) take(piece *io.SectionReader, chunk []byte, as Compression, cheap bool) (err error) {
	if piece.Size() > int64(room(len(chunk))) {
		return errOther
	}
	var held [][]byte
	defer func() {
		for _, b := range held {
			if err != nil {
				o.pool.spare(b)
			} else {
				o.blocks <- b
			}
		}
	}()
	if held, err = o.read(piece); err != nil {
		return err
	}
	readers := make([]io.Reader, len(held))
	for i, b := range held {
		readers[i] = bytes.NewReader(b)
	}
	return encodes(bufio.NewReader(io.MultiReader(readers...)), chunk, as, cheap)
}

// read reads a piece into blocks.
func (o *output) read(piece *io.SectionReader) (held [][]byte, err error) {
	for left := piece.Size(); left > 0; {
		b := o.pool.block(o.size)
		b = b[:min(left, int64(cap(b)))]
		held = append(held, b)
		if _, err := io.ReadFull(piece, b); err != nil {
			return held, err
		}
		left -= int64(len(b))
	}
	return held, nil
}

// encodes says by nil that a piece is the chunk as take holds it to that.
func encodes(piece *bufio.Reader, chunk []byte, as Compression, cheap bool) error {
	want := opening(len(chunk), as, cheap)
	if have, err := piece.Peek(len(want)); err != nil || !bytes.Equal(have, want) {
		return errOther
	}
	z, err := decompressOne(piece, as)
	if err != nil {
		return err
	}
	defer z.Close()
	rest := expected(chunk)
	if _, err := io.Copy(&rest, z); err != nil {
		return err
	}
	if _, err := piece.Peek(1); len(rest) > 0 || err == nil {
		return errOther
	}
	return nil
}

// expected are bytes that are about to be written; others are an error.
type expected []byte

func (e *expected) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(*e, p) {
		return 0, errOther
	}
	*e = (*e)[len(p):]
	return len(p), nil
}
