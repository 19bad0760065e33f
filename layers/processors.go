package layers

import (
	"slices"
	"sync"
)

// processors lets some chunks be compressed at a time. Of those that wait, the
// largest of one layer comes first: what takes long does not begin when
// everything else is done, and leaves the other processors nothing to do. The
// layer is that of the chunk that has waited longest, so that none waits for
// another's end.
type processors struct {
	mu      sync.Mutex
	free    int
	waiting []*waiting // in the order in which they came
}

// waiting is a chunk that waits for a processor.
type waiting struct {
	layer *chunker
	size  int // in bytes
	turn  chan struct{}
}

// take waits for a processor. Whoever has one waits for nobody, so that it
// comes.
func (p *processors) take(layer *chunker, size int) {
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.mu.Unlock()
		return
	}
	w := &waiting{layer, size, make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	<-w.turn
}

// leave gives the processor to a chunk that waits.
func (p *processors) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.free++
		return
	}
	next := 0
	for i, w := range p.waiting {
		if w.layer == p.waiting[0].layer && w.size > p.waiting[next].size {
			next = i
		}
	}
	close(p.waiting[next].turn)
	p.waiting = slices.Delete(p.waiting, next, next+1)
}
