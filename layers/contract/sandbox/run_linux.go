package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// waiting is the argument of a sandbox whose ids are not there yet.
const waiting = "wait-for-ids"

// The descriptors of a sandbox: what it reads, which ends with its parent,
// and what it says.
const (
	inputFD  = 3
	outputFD = 4
)

// grace is how long a sandbox may take to end by itself.
const grace = 20 * time.Second

// Detect says which ids a sandbox of this user would have.
func Detect() IDs {
	if os.Geteuid() == 0 {
		return AllIDs
	}
	if _, err := delegated(); err == nil {
		return RangeIDs
	}
	return OneID
}

// Run starts a sandbox and waits for its end. A cancelled context asks it to
// end, and ends it after a while.
func Run(ctx context.Context, c Command) error {
	ids := Detect()
	input, feed, err := os.Pipe()
	if err != nil {
		return err
	}
	defer feed.Close()
	said, output, err := os.Pipe()
	if err != nil {
		input.Close()
		return err
	}
	defer said.Close()
	args := append([]string{}, c.Args...)
	if ids == RangeIDs {
		args = append(args, waiting)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = c.Stderr
	cmd.ExtraFiles = []*os.File{input, output}
	cmd.SysProcAttr = attributes(ids)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	// A signal on the parent's death is one of the starting thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	input.Close()
	output.Close()
	if err != nil {
		return noNamespaces(ids, err)
	}
	if ids == RangeIDs {
		if err := mapIDs(ctx, cmd.Process.Pid); err != nil {
			cmd.Process.Kill()
			cmd.Wait()
			return err
		}
	}
	return talk(ctx, c, cmd, feed, said)
}

// talk feeds the sandbox and hears it out. Its input stays open, since its
// end is the parent's.
func talk(ctx context.Context, c Command, cmd *exec.Cmd, feed, said *os.File) error {
	fed := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(feed, "%d\n%s", len(c.Input), c.Input)
		fed <- err
	}()
	heard := make(chan error, 1)
	go func() {
		err := c.Output(said)
		// What is left is read all the same, so that it need not wait.
		_, rest := io.Copy(io.Discard, said)
		heard <- errors.Join(err, rest)
	}()
	ended := cmd.Wait()
	err := <-heard
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ended != nil {
		return errors.Join(fmt.Errorf("the sandbox ended early: %w", ended), err)
	}
	return errors.Join(err, <-fed)
}

func attributes(ids IDs) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		// A terminal's interrupt is the parent's to pass on.
		Setpgid: true,
	}
	switch ids {
	case RangeIDs:
		attr.Cloneflags |= syscall.CLONE_NEWUSER
	case OneID:
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

func noNamespaces(ids IDs, err error) error {
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	if ids == AllIDs {
		return fmt.Errorf("%w to root: %w: it needs CAP_SYS_ADMIN and CAP_NET_ADMIN; in a container, run it as an ordinary user or with --privileged", ErrNoNamespaces, err)
	}
	return fmt.Errorf("%w to ordinary users: %w: run it as root, or let users make namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)", ErrNoNamespaces, err)
}

// mapIDs gives a sandbox its ids, by the programs that may do that.
func mapIDs(ctx context.Context, pid int) error {
	ranges, err := delegated()
	if err != nil {
		return err
	}
	for _, one := range []struct {
		program string
		own     int
		from    idRange
	}{{"newuidmap", os.Geteuid(), ranges[0]}, {"newgidmap", os.Getegid(), ranges[1]}} {
		args := []string{strconv.Itoa(pid), "0", strconv.Itoa(one.own), "1", "1", strconv.Itoa(one.from.first), strconv.Itoa(one.from.size)}
		if out, err := exec.CommandContext(ctx, one.program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", one.program, err, out)
		}
	}
	return nil
}

// idRange is part of a file of delegated ids.
type idRange struct{ first, size int }

// leastIDs is how many ids images may ask for: 0 to 65535.
const leastIDs = 65535

// delegated finds the user and group ids that are delegated to this user; an
// error means none, or too few.
func delegated() ([2]idRange, error) {
	var found [2]idRange
	me, err := user.Current()
	if err != nil {
		return found, err
	}
	for i, one := range []struct{ program, file string }{{"newuidmap", "/etc/subuid"}, {"newgidmap", "/etc/subgid"}} {
		if _, err := exec.LookPath(one.program); err != nil {
			return found, err
		}
		if found[i], err = subordinate(one.file, me.Username, me.Uid); err != nil {
			return found, err
		}
	}
	return found, nil
}
