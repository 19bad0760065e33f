package trial

import (
	"context"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract/writes"
	"github.com/shudl/shudl-assemble/recipes"
)

// write starts to write in the background.
func (l *life) write(ctx context.Context, s recipes.Step) error {
	w, err := writes.Start(ctx, l.database(s))
	if err != nil {
		return unmetf("nobody takes writes: %v", err)
	}
	l.writer = w
	return nil
}

// resumed reports how long writes have stopped, once a row is acknowledged
// that was sent after a moment.
func (l *life) resumed(s recipes.Step, after time.Time) error {
	stopped, err := l.writer.Stopped(after)
	if err != nil {
		return unmetf("%v", err)
	}
	l.writer.Mark()
	l.report.Outages = append(l.report.Outages, Outage{Event: s.Name, Took: stopped})
	return nil
}

// kept ends writing and looks for every acknowledged row.
func (l *life) kept(ctx context.Context, s recipes.Step) error {
	acked := l.writer.Stop()
	if len(acked) == 0 {
		return unmetf("no row was acknowledged")
	}
	lost, err := writes.Lost(ctx, l.database(s), acked)
	if err != nil {
		return unmetf("read the rows: %v", err)
	}
	if lost > 0 {
		return unmetf("%d of %d acknowledged rows are lost", lost, len(acked))
	}
	if !l.counted {
		l.counted = true
		l.report.Rows += len(acked)
	}
	return nil
}

// database is what a step names.
func (l *life) database(s recipes.Step) writes.Database {
	return writes.Database{URL: s.URL, Lookup: l.names.Lookup}
}
