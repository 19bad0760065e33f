package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// bars draws one bar for each running download or layer.
type bars struct {
	bars *mpb.Progress
	once sync.Once
}

func newBars(w io.Writer) *bars {
	return &bars{bars: mpb.New(mpb.WithOutput(w), mpb.WithWidth(32), mpb.PopCompletedMode())}
}

func (b *bars) Say(format string, args ...any) {
	fmt.Fprintln(b.bars, redact(fmt.Sprintf(format, args...)))
}

// Close takes the bars away.
func (b *bars) Close() { b.once.Do(b.bars.Shutdown) }

func (b *bars) Start(verb, subject string) progress.Task {
	return &bar{b.bars.AddBar(0,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(verb, decor.WC{W: 10, C: decor.DindentRight}), decor.Name(shorten(subject), decor.WC{W: 42, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f"), decor.Name(" "), decor.Elapsed(decor.ET_STYLE_MMSS)),
	)}
}

func shorten(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	return text[:most-1] + "…"
}

type bar struct{ bar *mpb.Bar }

func (b *bar) Total(n int64) { b.bar.SetTotal(n, false) }
func (b *bar) Add(n int64)   { b.bar.IncrInt64(n) }
func (b *bar) Done(error)    { b.bar.Abort(true) }
