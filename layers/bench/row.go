package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// row is one kind of work, done by one or several contenders.
type row struct {
	key, work, goal string
	// prepare makes what all contenders are given, in a folder of its own, and
	// says who takes part. No contenders mean that data is missing.
	prepare func(ctx context.Context, s settings, dir string) ([]contender, error)
	// bytes of input, and of those the bytes that are compressed, give the
	// limit of the machine; nil where there is none.
	limit func(l machine, dir string) (time.Duration, error)
}

// contender is one tool at the work of a row.
type contender struct {
	name string
	// before makes a round's start: it is not measured.
	before func(ctx context.Context) error
	args   []string
	env    []string
	dir    string
	// check compares what was made with what was given.
	check func() error
	// sent counts what went over the network in the last round; nil for none.
	sent func() (bytes, requests int64)
}

// sample is one measured process with all that it waited for.
type sample struct {
	wall, cpu time.Duration
	peak      int64 // resident, in bytes, of the largest process
	written   int64 // bytes to file systems
	sent      int64
	requests  int64
}

// header begins the table.
const header = "| work | tool | wall | CPU | peak memory | written | sent | to the first | to the limit | goal |\n" +
	"|---|---|---|---|---|---|---|---|---|---|\n"

// run measures a row: every contender in every round, and the machine too where
// they are held to its limit.
func (r row) run(ctx context.Context, s settings, g *gauge) ([]string, error) {
	dir := filepath.Join(s.work, r.key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	contenders, err := r.prepare(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	samples := make([][]sample, len(contenders))
	var machines []machine
	for range s.rounds {
		if r.limit != nil {
			machines = append(machines, g.machine())
		}
		for i, c := range contenders {
			one, err := c.measure(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			samples[i] = append(samples[i], one)
		}
	}
	var limit time.Duration
	if r.limit != nil && len(contenders) > 0 {
		if limit, err = r.limit(usual(machines), dir); err != nil {
			return nil, err
		}
	}
	var lines []string
	var first sample
	for i, c := range contenders {
		middle := medians(samples[i])
		if i == 0 {
			first = middle
		}
		lines = append(lines, r.line(i, c.name, middle, first, limit))
	}
	return lines, remove(dir)
}

// line is one line of the table. Ratios are to the row's first contender,
// which is ours, and to the limit.
func (r row) line(i int, name string, s, first sample, limit time.Duration) string {
	work, goal := r.work, r.goal
	if i > 0 {
		work, goal = "", ""
	}
	sent := "–"
	if s.requests > 0 {
		sent = fmt.Sprintf("%s, %d requests", megabytes(s.sent), s.requests)
	}
	to := "–"
	if limit > 0 {
		to = fmt.Sprintf("%.2f", float64(s.wall)/float64(limit))
	}
	return fmt.Sprintf("| %s | %s | %.2f s | %.2f s | %s | %s | %s | %.2f | %s | %s |", work, name,
		s.wall.Seconds(), s.cpu.Seconds(), megabytes(s.peak), megabytes(s.written), sent, float64(s.wall)/float64(first.wall), to, goal)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// measure runs the contender once.
func (c contender) measure(ctx context.Context) (sample, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return sample{}, fmt.Errorf("before: %w", err)
		}
	}
	one, err := c.timed(ctx)
	if err != nil {
		return one, err
	}
	if c.sent != nil {
		one.sent, one.requests = c.sent()
	}
	if c.check != nil {
		if err := c.check(); err != nil {
			return one, fmt.Errorf("what it made is not what it was given: %w", err)
		}
	}
	return one, nil
}

// timed runs the contender below GNU time, whose own process is small: what a
// process was forked from counts in its peak.
func (c contender) timed(ctx context.Context) (one sample, err error) {
	out, err := os.CreateTemp(c.dir, "time.")
	if err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, out.Close(), os.Remove(out.Name())) }()
	args := append([]string{"/usr/bin/time", "-f", "%U %S %M %O", "-o", out.Name()}, c.args...)
	cmd := command(ctx, c.dir, c.env, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	err = cmd.Run()
	one.wall = time.Since(start)
	if err != nil {
		return one, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, tail(said.String()))
	}
	var user, system float64
	var kilobytes, blocks int64
	if _, err := fmt.Fscan(out, &user, &system, &kilobytes, &blocks); err != nil {
		return one, fmt.Errorf("/usr/bin/time: %w", err)
	}
	one.cpu = time.Duration((user + system) * float64(time.Second))
	one.peak, one.written = kilobytes<<10, blocks*512
	return one, nil
}

func command(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	return cmd
}

// do runs what is not measured.
func do(ctx context.Context, dir string, env []string, args ...string) error {
	out, err := command(ctx, dir, env, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, tail(string(out)))
	}
	return nil
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-400):]
}

// medians takes each figure by itself.
func medians(all []sample) sample {
	return sample{
		wall:     median(all, func(s sample) time.Duration { return s.wall }),
		cpu:      median(all, func(s sample) time.Duration { return s.cpu }),
		peak:     median(all, func(s sample) int64 { return s.peak }),
		written:  median(all, func(s sample) int64 { return s.written }),
		sent:     median(all, func(s sample) int64 { return s.sent }),
		requests: median(all, func(s sample) int64 { return s.requests }),
	}
}

// median is the middle value, the higher one of two.
func median[S any, T cmp.Ordered](all []S, of func(S) T) T {
	values := make([]T, 0, len(all))
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// there says whether a tool is on PATH.
func there(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}
