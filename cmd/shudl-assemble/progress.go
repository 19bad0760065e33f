package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// heartbeat is how often work that takes long says in a log that it goes on.
const heartbeat = 30 * time.Second

// startProgress reads --progress.
func (a *app) startProgress() error {
	switch a.progressMode {
	case "auto":
		if terminal(a.stderr) && os.Getenv("TERM") != "dumb" {
			a.sink = newBars(a.stderr)
			return nil
		}
		a.sink = newPlain(a.stderr)
	case "plain":
		a.sink = newPlain(a.stderr)
	case "quiet":
		a.sink = &messages{w: a.stderr}
	case "json":
		a.sink = &events{w: a.stderr}
	default:
		return usage(fmt.Errorf("--progress %s: it is auto, plain, json or quiet", a.progressMode))
	}
	return nil
}

// messages shows no work, only what the user must know.
type messages struct {
	progress.Discard
	mu sync.Mutex
	w  io.Writer
}

func (m *messages) Say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintln(m.w, redact(fmt.Sprintf(format, args...)))
}

func (m *messages) Close() {}

// plain writes one line for each finished step, and a sign of life for one
// that takes long.
type plain struct {
	messages
	running map[*plainTask]bool
	told    map[string]bool // errors: one that ends all tasks is told once
	stop    chan struct{}
	once    sync.Once
}

func newPlain(w io.Writer) *plain {
	p := &plain{messages: messages{w: w}, running: map[*plainTask]bool{}, told: map[string]bool{}, stop: make(chan struct{})}
	go p.beat()
	return p
}

func (p *plain) Start(verb, subject string) progress.Task {
	t := &plainTask{sink: p, what: verb + " " + subject, since: time.Now()}
	p.mu.Lock()
	p.running[t] = true
	p.mu.Unlock()
	return t
}

func (p *plain) Close() { p.once.Do(func() { close(p.stop) }) }

func (p *plain) beat() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		for t := range p.running {
			if time.Since(t.since) > heartbeat {
				fmt.Fprintf(p.w, "… %s %s\n", t.what, t.amount())
			}
		}
		p.mu.Unlock()
	}
}

// plainTask is guarded by its sink's mutex.
type plainTask struct {
	sink        *plain
	what        string
	since       time.Time
	total, done int64
}

func (t *plainTask) Total(n int64) { t.sink.mu.Lock(); t.total = n; t.sink.mu.Unlock() }
func (t *plainTask) Add(n int64)   { t.sink.mu.Lock(); t.done += n; t.sink.mu.Unlock() }

func (t *plainTask) Done(err error) {
	t.sink.mu.Lock()
	defer t.sink.mu.Unlock()
	delete(t.sink.running, t)
	if err != nil {
		t.sink.failed(t.what, err)
		return
	}
	fmt.Fprintf(t.sink.w, "%s %s%.1f s\n", t.what, t.amount(), time.Since(t.since).Seconds())
}

// failed tells why a task ended, unless another's end was its cause. Tasks that
// meet a full disk all name another file of it: the command's error says it.
func (p *plain) failed(what string, err error) {
	text := redact(err.Error())
	if p.told[text] || errors.Is(err, context.Canceled) || full(err) {
		return
	}
	p.told[text] = true
	fmt.Fprintf(p.w, "%s: %s\n", what, text)
}

func (t *plainTask) amount() string {
	switch {
	case t.total > t.done:
		return fmt.Sprintf("%s of %s ", megabytes(t.done), megabytes(t.total))
	case t.done > 0:
		return megabytes(t.done) + " "
	}
	return ""
}

// events writes one JSON object a line.
type events struct {
	mu sync.Mutex
	w  io.Writer
}

type event struct {
	Event   string  `json:"event"` // start, done, failed or message
	Verb    string  `json:"verb,omitempty"`
	Subject string  `json:"subject,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Text    string  `json:"text,omitempty"`
}

func (e *events) write(ev event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ev.Text = redact(ev.Text)
	json.NewEncoder(e.w).Encode(ev)
}

func (e *events) Say(format string, args ...any) {
	e.write(event{Event: "message", Text: fmt.Sprintf(format, args...)})
}

func (e *events) Close() {}

func (e *events) Start(verb, subject string) progress.Task {
	e.write(event{Event: "start", Verb: verb, Subject: subject})
	return &eventTask{sink: e, verb: verb, subject: subject, since: time.Now()}
}

type eventTask struct {
	sink          *events
	verb, subject string
	since         time.Time
	mu            sync.Mutex
	done          int64
}

func (t *eventTask) Total(int64) {}
func (t *eventTask) Add(n int64) { t.mu.Lock(); t.done += n; t.mu.Unlock() }

func (t *eventTask) Done(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ev := event{Event: "done", Verb: t.verb, Subject: t.subject, Bytes: t.done, Seconds: time.Since(t.since).Seconds()}
	if err != nil {
		ev.Event, ev.Text = "failed", err.Error()
	}
	t.sink.write(ev)
}
