package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Container is a container that was started.
type Container struct {
	Name    string
	Log     string // file of all that it writes
	PID     int    // of its first process, as the sandbox sees it
	Started time.Time

	runtime Runtime
	state   string
	dir     string
	spec    Spec
	done    chan struct{} // closed when it has ended
	status  int
	execs   int
}

// StartError says that the runtime could not start a container.
type StartError struct {
	Container string
	Output    string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("the runtime cannot start container %s: %s", e.Container, e.Output)
}

// Start starts a container and returns when its first process is there. What
// it needs on disk is made in dir, which must be empty or new. A context that
// ends ends the runtime, not the container: Remove does.
func (r Runtime) Start(ctx context.Context, dir string, s Spec) (*Container, error) {
	c := &Container{
		Name: s.ID, Log: filepath.Join(dir, "log"), runtime: r, state: filepath.Join(dir, "state"), dir: dir, spec: s,
		done: make(chan struct{}), Started: time.Now(),
	}
	if err := os.MkdirAll(c.state, 0o700); err != nil {
		return nil, err
	}
	config, err := json.Marshal(s.config())
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(c.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	pidFile := filepath.Join(dir, "pid")
	cmd := r.command(ctx, c.state, "--log", filepath.Join(dir, "runtime.log"), "run", "--bundle", dir, "--pid-file", pidFile, s.ID)
	cmd.Stdout, cmd.Stderr = log, log
	c.Started = time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go c.wait(cmd)
	return c, c.begin(ctx, pidFile)
}

// wait keeps the container's exit status: 128 and the number of a signal that
// ended it.
func (c *Container) wait(cmd *exec.Cmd) {
	cmd.Wait()
	c.status = -1
	if cmd.ProcessState != nil {
		c.status = cmd.ProcessState.ExitCode()
	}
	close(c.done)
}

// begin waits for the first process.
func (c *Container) begin(ctx context.Context, pidFile string) error {
	for {
		data, err := os.ReadFile(pidFile)
		if err == nil && len(data) > 0 {
			c.PID, err = strconv.Atoi(strings.TrimSpace(string(data)))
			return err
		}
		select {
		case <-c.done:
			if data, err := os.ReadFile(pidFile); err == nil && len(data) > 0 {
				continue // started, and ended at once
			}
			return &StartError{c.Name, c.complaint()}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// complaint is what the runtime says of its failure.
func (c *Container) complaint() string {
	var out []string
	for _, name := range []string{"runtime.log", "log"} {
		if data, err := os.ReadFile(filepath.Join(c.dir, name)); err == nil && len(bytes.TrimSpace(data)) > 0 {
			out = append(out, strings.TrimSpace(string(data)))
		}
	}
	return strings.Join(out, "; ")
}

// Done is closed when the container has ended.
func (c *Container) Done() <-chan struct{} { return c.done }

// Ended says whether it has, and by which status.
func (c *Container) Ended() (status int, ended bool) {
	select {
	case <-c.done:
		return c.status, true
	default:
		return 0, false
	}
}

// Signal sends a signal, named without SIG, to the first process.
func (c *Container) Signal(ctx context.Context, name string) error {
	out, err := c.runtime.command(ctx, c.state, "kill", c.Name, name).CombinedOutput()
	if _, ended := c.Ended(); err == nil || ended {
		return nil
	}
	return fmt.Errorf("signal %s to container %s: %w: %s", name, c.Name, err, bytes.TrimSpace(out))
}

// Remove kills what still runs and removes what the runtime keeps.
func (c *Container) Remove(ctx context.Context) error {
	if _, ended := c.Ended(); !ended {
		if err := c.Signal(ctx, "KILL"); err != nil {
			return err
		}
		select {
		case <-c.done:
		case <-time.After(20 * time.Second):
			return fmt.Errorf("container %s does not end", c.Name)
		}
	}
	// A container that ended is gone with its runtime process as a rule.
	c.runtime.command(ctx, c.state, "delete", "--force", c.Name).Run()
	return nil
}

// Result is what a command in a container gave.
type Result struct {
	Status         int
	Stdout, Stderr string
}

// maxOutput is how much of a command's output is kept, in bytes.
const maxOutput = 1 << 20

// Exec runs a command in the container and waits for its end. An empty user,
// folder or list of capabilities is not the container's own: say what it is.
func (c *Container) Exec(ctx context.Context, p Process) (Result, error) {
	c.execs++
	file := filepath.Join(c.dir, fmt.Sprintf("process-%d.json", c.execs))
	data, err := json.Marshal(c.spec.process(p))
	if err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return Result{}, err
	}
	defer os.Remove(file)
	cmd := c.runtime.command(ctx, c.state, "exec", "--process", file, c.Name)
	stdout, stderr := &limited{}, &limited{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		result.Status, err = exit.ExitCode(), nil
	}
	return result, err
}

// Process is the container's own process with other arguments.
func (c *Container) Process(args ...string) Process {
	p := c.spec.Process
	p.Args = args
	return p
}

// Output reads all that the container has written so far, up to its last
// maxLog bytes.
func (c *Container) Output() ([]byte, error) {
	f, err := os.Open(c.Log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxLog {
		if _, err := f.Seek(-maxLog, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(f, maxLog))
}

// maxLog is how much of a log is read, in bytes.
const maxLog = 32 << 20

// limited keeps the first maxOutput bytes that are written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
