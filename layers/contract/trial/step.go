package trial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract/container"
	"github.com/shudl/shudl-assemble/recipes"
)

// step does one step and writes down what came of it. It is false where the
// case cannot go on.
func (l *life) step(ctx context.Context, s recipes.Step) (bool, error) {
	m := l.find(s.In)
	switch s.Do {
	case recipes.Start:
		return l.begin(ctx, m)
	case recipes.Stop:
		return true, l.finish(ctx, m)
	}
	began := time.Now()
	err := l.patiently(ctx, s, func(ctx context.Context) error {
		switch s.Do {
		case recipes.Restart:
			return m.restart(ctx, s.Args)
		case recipes.Run:
			return m.command(ctx, s)
		case recipes.HTTP:
			return l.request(ctx, s, func(body []byte) error { return expect(s, body) })
		case recipes.Metrics:
			return l.request(ctx, s, func(body []byte) error { return metrics(body, s.Has) })
		case recipes.Says:
			return m.says(s)
		case recipes.Kill:
			return m.kill(ctx)
		case recipes.Cut:
			return l.net.Cut(m.Name)
		case recipes.Heal:
			return l.net.Heal(m.Name)
		case recipes.Writes:
			return l.write(ctx, s)
		case recipes.Resumed:
			return l.resumed(s, began)
		case recipes.Kept:
			return l.kept(ctx, s)
		}
		return fmt.Errorf("step %s: no action %q", s.Name, s.Do)
	})
	if fault := machineFault(ctx, err); fault != nil {
		return false, fault
	}
	ok := l.named(s.Name, err)
	if l.report.Stack {
		l.report.Checks[len(l.report.Checks)-1].Took = time.Since(began)
	}
	return ok, nil
}

// patiently tries until it succeeds or the step's time is over, or one of the
// containers has ended that must not.
func (l *life) patiently(ctx context.Context, s recipes.Step, try func(context.Context) error) error {
	within := s.Within
	if s.Do == recipes.Says && within == 0 {
		within = logDelay
	}
	limit := time.Now().Add(within)
	for {
		err := try(ctx)
		if err == nil || machineFault(ctx, err) != nil || s.Do == recipes.Restart {
			return err
		}
		if dead := l.dead(); dead != "" {
			return unmetf("%s; meanwhile %s has ended", err, dead)
		}
		if time.Now().After(limit) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(polling):
		}
	}
}

// logDelay is how long a line of a log may take that a step asks for without
// saying within: the answer to a request may come before it, since collectors of
// logs are processes of their own.
const logDelay = 10 * time.Second

// dead names a container that ended by itself and should not have.
func (l *life) dead() string {
	for _, m := range l.members {
		if m.Exits == nil && m.current != nil && !m.running() && !m.stopped {
			return m.Name
		}
	}
	return ""
}

func (l *life) find(name string) *member {
	for _, m := range l.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// commandLimit bounds one command, one request likewise.
const (
	commandLimit = 3 * time.Minute
	requestLimit = 30 * time.Second
)

// command runs a command inside the container, as its user.
func (m *member) command(ctx context.Context, s recipes.Step) error {
	if m.current == nil || !m.running() {
		return unmetf("container %s does not run", m.Name)
	}
	limited, cancel := context.WithTimeout(ctx, max(commandLimit, s.Within))
	defer cancel()
	p := m.current.Process(s.Args...)
	p.Env = merge(p.Env, s.Env)
	result, err := m.current.Exec(limited, p)
	if limited.Err() != nil && ctx.Err() == nil {
		return unmetf("the command does not end: %s", said(result))
	}
	if err != nil {
		return err
	}
	if result.Status != s.Status {
		return unmetf("status %d, want %d: %s", result.Status, s.Status, said(result))
	}
	return expect(s, []byte(result.Stdout))
}

// said is what a command wrote, each stream cut short by itself: the cause may
// be the end of one, and the other a long log.
func said(r container.Result) string {
	return strings.TrimSpace(shorten(strings.TrimSpace(r.Stdout)) + "\n" + shorten(strings.TrimSpace(r.Stderr)))
}

// shorten keeps the end of a long text.
func shorten(text string) string {
	const most = 2000
	if len(text) > most {
		return "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}

// maxBody is the most that is read of an answer, in bytes.
const maxBody = 16 << 20

// textFormat asks, as Prometheus can, for its own text format first
// and not for OpenMetrics, which some servers prefer.
const textFormat = "text/plain;version=0.0.4,*/*;q=0.1"

// request asks from outside of the container and hands the answer on.
func (l *life) request(ctx context.Context, s recipes.Step, then func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	method, status := s.Method, s.Status
	if method == "" {
		method, status = http.MethodGet, http.StatusOK
	}
	q, err := http.NewRequestWithContext(ctx, method, s.URL, strings.NewReader(s.Data))
	if err != nil {
		return err
	}
	if s.Do == recipes.Metrics {
		q.Header.Set("Accept", textFormat)
	}
	for _, h := range s.Headers {
		q.Header.Set(h.Name, h.Value)
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: l.names.Dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(q)
	if err != nil {
		return unmetf("%v", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return unmetf("%v", err)
	}
	if answer.StatusCode != status {
		return unmetf("status %d, want %d: %s", answer.StatusCode, status, shorten(string(body)))
	}
	return then(body)
}

func (m *member) says(s recipes.Step) error {
	log, err := m.output()
	if err != nil {
		return err
	}
	if !s.Matches.Match(log) {
		return unmetf("its log has no line that matches %s", plain(s.Matches.String()))
	}
	return nil
}
