package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shudl/shudl-assemble/layers/contract/container"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/recipes"
)

// member is one container of a case, through all its restarts.
type member struct {
	recipes.Container
	life     *life
	image    *root
	contract *recipes.Contract // of its own image
	mounts   []container.Mount
	runs     int
	current  *container.Container
	meter    *container.Meter
	stopped  bool   // by its signal
	log      []byte // of the runs before
}

// polling is how often something is tried again.
const polling = 250 * time.Millisecond

// tested says whether it is the image under test, and no helper.
func (m *member) tested() bool { return m.image == m.life.trial.image } // never in a stack

// prefix names it in a check, unless it is the only one of its case.
func (m *member) prefix() string {
	if len(m.life.Containers) == 1 {
		return ""
	}
	return m.Name + " "
}

func (m *member) user() string {
	if m.User != "" {
		return m.User
	}
	return m.image.Config.User
}

func (m *member) running() bool {
	if m.current == nil {
		return false
	}
	_, ended := m.current.Ended()
	return !ended
}

// start runs it until it is healthy, or has ended where that is what it is
// for, in the place of a run before that has ended. cmd are other arguments; nil means the image's own.
func (m *member) start(ctx context.Context, cmd []string) error {
	if m.running() {
		return unmetf("it runs already")
	}
	m.measured()
	if m.current != nil {
		if err := m.away(ctx); err != nil {
			return err
		}
	}
	m.runs++
	spec, err := m.spec(cmd)
	if err != nil {
		return err
	}
	dir := filepath.Join(m.life.dir, fmt.Sprintf("%s-%d", m.Name, m.runs))
	m.current, err = m.life.Runtime.Start(ctx, dir, spec)
	var refused *container.StartError
	if errors.As(err, &refused) {
		return unmetf("%v", refused)
	}
	if err != nil {
		return err
	}
	m.stopped = false
	if (m.tested() || m.life.report.Stack) && m.Exits == nil {
		m.meter = m.current.Measure(ctx)
	}
	if m.Exits != nil {
		return m.ends(ctx)
	}
	return m.becomesHealthy(ctx)
}

// patience is how long a container that ends by itself may take where the
// contract says nothing.
const patience = 10 * time.Minute

// ends waits for the end and holds status and log.
func (m *member) ends(ctx context.Context) error {
	limit := max(m.contract.Healthy, patience)
	select {
	case <-m.current.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(limit):
		return unmetf("it still runs after %s", limit)
	}
	if status, _ := m.current.Ended(); status != *m.Exits {
		return unmetf("it ends with status %d", status)
	}
	log, err := m.current.Output()
	if err != nil {
		return err
	}
	for _, want := range m.Says {
		if !want.Match(log) {
			return unmetf("its log does not match %s", plain(want.String()))
		}
	}
	return nil
}

func (m *member) becomesHealthy(ctx context.Context) error {
	test := m.image.health()
	if len(test) == 0 {
		return unmetf("the image has no health check")
	}
	limit := time.NewTimer(m.contract.Healthy)
	defer limit.Stop()
	last := ""
	for {
		result, err := m.healthy(ctx, test)
		if err == nil && result.Status == 0 {
			return nil
		}
		if err != nil {
			last = err.Error()
		} else {
			last = fmt.Sprintf("status %d: %s", result.Status, strings.TrimSpace(result.Stdout+result.Stderr))
		}
		select {
		case <-m.current.Done():
			status, _ := m.current.Ended()
			return unmetf("it ended with status %d", status)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return unmetf("the health check still fails: %s", last)
		case <-time.After(polling):
		}
	}
}

// healthTimeout is Docker's, where an image says nothing.
const healthTimeout = 30 * time.Second

func (m *member) healthy(ctx context.Context, test []string) (container.Result, error) {
	timeout := m.image.Config.Healthcheck.Timeout
	if timeout <= 0 {
		timeout = healthTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return m.current.Exec(ctx, m.current.Process(test...))
}

// health is the image's own health check as a command.
func (r *root) health() []string {
	if r.Config.Healthcheck == nil || len(r.Config.Healthcheck.Test) < 2 {
		return nil
	}
	switch test := r.Config.Healthcheck.Test; test[0] {
	case "CMD":
		return test[1:]
	case "CMD-SHELL":
		return []string{"/bin/sh", "-c", test[1]}
	}
	return nil
}

// identity holds every process to the user and the rights of its container.
func (m *member) identity() error {
	uid, gid, err := ids(m.user())
	if err != nil {
		return err
	}
	all, err := m.current.Identities()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return unmetf("it has no process")
	}
	for _, p := range all {
		if len(m.Capabilities) > 0 && p.UID != uid {
			continue // it was given the right to change; the contract's steps look closer
		}
		if p.UID != uid || p.GID != gid || len(m.Capabilities) == 0 && p.Capabilities != 0 {
			return unmetf("process %s runs as %d:%d with capabilities %x", p.Command, p.UID, p.GID, p.Capabilities)
		}
	}
	return nil
}

func (m *member) readOnly() error {
	ro, err := m.current.ReadOnly()
	if err == nil && !ro {
		err = unmetf("its root is writable")
	}
	return err
}

// signal is what ends it.
func (m *member) signal() string {
	if m.image.Config.StopSignal != "" {
		return m.image.Config.StopSignal
	}
	return "SIGTERM"
}

// stopLimit is how long its stop may take.
func (m *member) stopLimit() time.Duration {
	if m.Stop > 0 {
		return m.Stop
	}
	return m.contract.Stop
}

// stop ends it by its signal, in time, with the status of a clean end or of
// the signal.
func (m *member) stop(ctx context.Context) error {
	m.measured()
	if status, ended := m.current.Ended(); ended {
		return unmetf("it had ended by itself with status %d", status)
	}
	name := strings.TrimPrefix(m.signal(), "SIG")
	m.stopped = true
	asked := time.Now()
	if err := m.current.Signal(ctx, name); err != nil {
		return err
	}
	select {
	case <-m.current.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(m.stopLimit()):
		return unmetf("it still runs after %s", m.stopLimit())
	}
	if m.tested() {
		m.life.report.Stop = max(m.life.report.Stop, time.Since(asked))
	}
	clean := []int{0, 128 + int(unix.SignalNum("SIG"+name))}
	if status, _ := m.current.Ended(); !slices.Contains(clean, status) {
		return unmetf("it ends with status %d, want %d or %d", status, clean[0], clean[1])
	}
	return nil
}

// restart replaces it by a new container on the same volumes.
func (m *member) restart(ctx context.Context, cmd []string) error {
	if m.current == nil {
		return unmetf("it does not run")
	}
	if err := m.stop(ctx); err != nil {
		return err
	}
	if err := m.away(ctx); err != nil {
		return err
	}
	if err := m.start(ctx, cmd); err != nil {
		return err
	}
	if m.life.shows() {
		return m.identity()
	}
	return nil
}

// kill ends all its processes at once, as a crash of its node would.
func (m *member) kill(ctx context.Context) error {
	if !m.running() {
		return unmetf("it does not run")
	}
	m.measured()
	return m.away(ctx)
}

// away removes the container and keeps its log. The volumes stay.
func (m *member) away(ctx context.Context) error {
	if err := m.current.Remove(ctx); err != nil {
		return err
	}
	log, err := m.current.Output()
	if err != nil {
		return err
	}
	m.log, m.current = append(m.log, log...), nil
	return nil
}

// measured ends the measuring of memory and keeps the most.
func (m *member) measured() {
	if m.meter != nil {
		peak := &m.life.report.Memory
		if m.life.report.Stack {
			peak = &m.life.report.part(m.Name, m.image).Memory
		}
		*peak = max(*peak, m.meter.Peak())
		m.meter = nil
	}
}

func (m *member) remove(ctx context.Context) error {
	m.measured()
	if m.current == nil {
		return nil
	}
	return m.current.Remove(ctx)
}

// output is all that it has written, before restarts too.
func (m *member) output() ([]byte, error) {
	if m.current == nil {
		return m.log, nil
	}
	now, err := m.current.Output()
	return append(slices.Clone(m.log), now...), err
}

// tailLines is how much of a log a failure shows.
const tailLines = 40

func (m *member) tail() string {
	log, err := m.output()
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(log), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// logsJSON holds every line to being a JSON object, but those that the
// contract excuses.
func (m *member) logsJSON() error {
	log, err := m.output()
	if err != nil {
		return err
	}
	objects := 0
	for line := range bytes.Lines(log) {
		line = bytes.TrimSpace(line)
		var object map[string]any
		switch {
		case len(line) == 0 || m.excused(line):
		case json.Unmarshal(line, &object) != nil:
			return unmetf("a line is no JSON object: %.300s", line)
		default:
			objects++
		}
	}
	if objects == 0 {
		return unmetf("it wrote no line")
	}
	return nil
}

func (m *member) excused(line []byte) bool {
	return slices.ContainsFunc(m.Plain, func(p recipes.PlainLine) bool { return p.Line.Match(line) })
}

// shows says whether ids in the sandbox are those of the image.
func (l *life) shows() bool { return l.IDs != sandbox.OneID }

// limitFiles is the most open files that a process may have here.
func limitFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Max
}

// plain is a pattern as the contract writes it.
func plain(pattern string) string { return strings.TrimPrefix(pattern, "(?m)") }

// exists says whether a file is there.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
