package writes

import (
	"errors"
	"testing"
	"time"
)

func TestGapIsBetweenAcknowledgedRows(t *testing.T) {
	start := time.Now()
	w := &Writer{last: start.Add(-3 * time.Second)}
	w.note(1, start, errors.New("refused"))
	if _, err := w.Stopped(start.Add(-time.Hour)); err == nil {
		t.Error("a refused row counts as acknowledged")
	}
	w.note(2, start, nil)
	if gap, err := w.Stopped(start.Add(-time.Second)); err != nil || gap < 3*time.Second {
		t.Errorf("stopped for %s, %v; want 3 s", gap, err)
	}
	if _, err := w.Stopped(start); err == nil {
		t.Error("a row that was sent before the event shows its end")
	}
	w.Mark()
	w.note(3, start.Add(time.Second), nil)
	if gap, err := w.Stopped(start); err != nil || gap > 2*time.Second {
		t.Errorf("stopped for %s, %v, after a mark", gap, err)
	}
}

func TestLostRowsAreCounted(t *testing.T) {
	for _, test := range []struct {
		want, have []int64
		lost       int
	}{
		{[]int64{1, 2, 5}, []int64{5, 2, 1}, 0},
		{[]int64{1, 2, 5}, []int64{1, 3, 5}, 1}, // one that was never acknowledged makes up for none
		{[]int64{1, 2}, nil, 2},
	} {
		if got := missing(test.want, test.have); got != test.lost {
			t.Errorf("%v of %v: %d lost, want %d", test.have, test.want, got, test.lost)
		}
	}
}
