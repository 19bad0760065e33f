package layers

import (
	"slices"
	"testing"
	"testing/synctest"
)

// TestLargestFirst: of the chunks that wait, the largest of the layer that
// waits longest comes next, and the other layer after it.
func TestLargestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &processors{free: 1}
		one, other := &chunker{}, &chunker{}
		var got []int
		p.take(one, 0)
		for _, w := range []waiting{{layer: one, size: 10}, {layer: other, size: 99}, {layer: one, size: 30}, {layer: one, size: 20}, {layer: other, size: 100}} {
			go func() {
				p.take(w.layer, w.size)
				got = append(got, w.size)
				p.leave()
			}()
			synctest.Wait() // it waits now
		}
		p.leave()
		synctest.Wait()
		if want := []int{30, 20, 10, 100, 99}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if p.free != 1 || len(p.waiting) > 0 {
			t.Errorf("%d processors are free, %d wait", p.free, len(p.waiting))
		}
	})
}
