package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract/network"
	"github.com/shudl/shudl-assemble/layers/contract/writes"
	"github.com/shudl/shudl-assemble/recipes"
)

// life is one case on its way: what runs, and the folder that it has.
type life struct {
	*trial
	recipes.Case
	dir     string
	began   time.Time
	members []*member
	helpers []func() error // what ends the programs and the server
	ca      []byte         // PEM of the authority
	points  []point        // made in roots, the deepest last
	writer  *writes.Writer
	counted bool             // its rows are in the report
	net     *network.Network // nil where all share the sandbox's
	names   network.Names
}

// life lives a case through. What the image does wrong goes into the report,
// and so does what cannot be cleared away; an error is one of this machine.
func (t *trial) life(ctx context.Context, c recipes.Case) error {
	dir, err := os.MkdirTemp(t.Work, "case-")
	if err != nil {
		return err
	}
	l := &life{trial: t, Case: c, dir: dir}
	defer func() {
		if fault := errors.Join(l.end(ctx), Remove(dir)); fault != nil {
			l.check(c.Name+": nothing of it is left", fault.Error())
		}
	}()
	if err := l.prepare(ctx); err != nil {
		return err
	}
	l.began = time.Now()
	for _, m := range l.members {
		if l.startsLater(m) {
			continue
		}
		if ok, err := l.begin(ctx, m); !ok || err != nil {
			return err
		}
	}
	for _, s := range l.Steps {
		if ok, err := l.step(ctx, s); !ok || err != nil {
			return err
		}
	}
	for _, m := range slices.Backward(l.members) {
		if m.running() {
			if err := l.finish(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare starts what the containers need from the host, and makes them ready
// to start.
func (l *life) prepare(ctx context.Context) error {
	if l.Separate {
		if err := l.connect(); err != nil {
			return err
		}
	}
	if l.Authority != nil {
		if err := l.serveTLS(); err != nil {
			return err
		}
	}
	for _, p := range l.Programs {
		if err := l.program(ctx, p); err != nil {
			return err
		}
	}
	for _, c := range l.Containers {
		m, err := l.member(ctx, c)
		if err != nil {
			return err
		}
		l.members = append(l.members, m)
	}
	return nil
}

// connect gives each container a network of its own.
func (l *life) connect() error {
	var programs, containers []string
	for _, p := range l.Programs {
		programs = append(programs, p.Name)
	}
	for _, c := range l.Containers {
		containers = append(containers, c.Name)
	}
	made, err := network.New(programs, containers)
	if err != nil {
		return err
	}
	l.net, l.names = made, made.Names
	return nil
}

// startsLater says whether a step starts the container, before any ends it.
func (l *life) startsLater(m *member) bool {
	for _, s := range l.Steps {
		if s.In != m.Name {
			continue
		}
		switch s.Do {
		case recipes.Start:
			return true
		case recipes.Stop, recipes.Restart, recipes.Kill:
			return false
		}
	}
	return false
}

// named is a check of this case. Where it does not hold, the last lines of the
// containers go with it.
func (l *life) named(what string, err error) bool {
	found := ""
	if err != nil {
		found = err.Error()
	}
	ok := l.check(l.Case.Name+": "+what, found)
	if !ok {
		l.report.Checks[len(l.report.Checks)-1].Log = l.logs()
	}
	return ok
}

// logs are the last lines of each container of the case.
func (l *life) logs() string {
	var b strings.Builder
	for _, m := range l.members {
		if text := m.tail(); text != "" {
			fmt.Fprintf(&b, "--- %s\n%s\n", m.Name, text)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// begin starts a container and writes down what it is like. It is false where
// the case cannot go on.
func (l *life) begin(ctx context.Context, m *member) (bool, error) {
	began := time.Now()
	err := m.start(ctx, m.Container.Cmd)
	if fault := machineFault(ctx, err); fault != nil {
		return false, fault
	}
	if m.Exits != nil {
		return l.named(fmt.Sprintf("%sends with status %d", m.prefix(), *m.Exits), err), nil
	}
	ok := l.named(fmt.Sprintf("%sbecomes healthy within %s", m.prefix(), m.contract.Healthy), err)
	if !ok {
		return false, nil
	}
	l.booted(m, began)
	if l.shows() {
		ok = l.named(fmt.Sprintf("%sruns as %s with no more rights than it asks for", m.prefix(), m.user()), m.identity())
	}
	return l.named(m.prefix()+"works with a read-only root", m.readOnly()) && ok, nil
}

// booted writes down how long it took: of a stack, each container and all of
// them, with the steps in between.
func (l *life) booted(m *member, began time.Time) {
	switch {
	case m.tested() && l.report.Boot == 0:
		l.report.Boot = time.Since(began)
	case l.report.Stack:
		if p := l.report.part(m.Name, m.image); p.Boot == 0 {
			p.Boot = time.Since(began)
		}
		if l.report.Boot == 0 && !slices.ContainsFunc(l.members, func(other *member) bool { return other.runs == 0 }) {
			l.report.Boot = time.Since(l.began)
		}
	}
}

// finish stops a container and writes down how it went.
func (l *life) finish(ctx context.Context, m *member) error {
	err := m.stop(ctx)
	if fault := machineFault(ctx, err); fault != nil {
		return fault
	}
	l.named(fmt.Sprintf("%sstops within %s by %s", m.prefix(), m.stopLimit(), m.signal()), err)
	if m.Container.JSON {
		l.named(m.prefix()+"logs JSON", m.logsJSON())
	}
	return nil
}

// machineFault tells an error of this machine from one of the image.
func machineFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var unmet *unmet
	if err == nil || errors.As(err, &unmet) {
		return nil
	}
	return err
}

// unmet is an error of an image: it does not do what its contract says.
type unmet struct{ found string }

func (e *unmet) Error() string { return e.found }

func unmetf(format string, args ...any) error { return &unmet{fmt.Sprintf(format, args...)} }

// end ends all that the case has started, also after a failure.
func (l *life) end(ctx context.Context) error {
	// What is ended here must end whatever the context says.
	ctx = context.WithoutCancel(ctx)
	var err error
	if l.writer != nil {
		l.writer.Stop()
	}
	for _, m := range slices.Backward(l.members) {
		err = errors.Join(err, m.remove(ctx))
	}
	for _, stop := range slices.Backward(l.helpers) {
		err = errors.Join(err, stop())
	}
	if l.net != nil {
		err = errors.Join(err, l.net.Close())
	}
	return errors.Join(err, l.unmake())
}
