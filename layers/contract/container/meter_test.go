package container

import "testing"

// Memory that cannot be more than the peak is not read, memory that grows is
// read at once, and memory that stands still now and then.
func TestMeterReadsWhatMayBeMore(t *testing.T) {
	var m Meter
	reads := 0
	see := func(resident, proportional int64) {
		m.sample(func() int64 { return resident }, func() int64 { reads++; return proportional })
	}
	for _, step := range []struct {
		name                   string
		times                  int
		resident, proportional int64
		reads                  int
		peak                   int64
	}{
		{"the first time", 1, 1000, 800, 1, 800},
		{"it grows", 3, 2000, 1500, 1, 1500},
		{"a little more", idle - 3, 2010, 1501, 0, 1500},
		{"that little, in the end", 1, 2010, 1501, 1, 1501},
		{"it is less than the peak", 3 * idle, 1400, 1390, 0, 1501},
		{"it comes back with less that is shared", 1, 2010, 1900, 1, 1900},
		{"a process that shared has ended", 2 * idle, 1950, 1940, 2, 1940},
	} {
		reads = 0
		for range step.times {
			see(step.resident, step.proportional)
		}
		if reads != step.reads || m.peak != step.peak {
			t.Errorf("%s: %d reads, peak %d; want %d, %d", step.name, reads, m.peak, step.reads, step.peak)
		}
	}
}
