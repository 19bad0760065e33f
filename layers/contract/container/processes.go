package container

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Identity is who a process is, as the sandbox counts ids.
type Identity struct {
	PID      int
	UID, GID int
	// Capabilities is the mask of those that count.
	Capabilities uint64
	Command      string
}

// Identities lists the processes of a container: those in the process
// namespace of its first one.
func (c *Container) Identities() ([]Identity, error) {
	pids, err := c.processes()
	if err != nil {
		return nil, err
	}
	var out []Identity
	for _, pid := range pids {
		if one, err := identity(pid); err == nil {
			out = append(out, one)
		}
	}
	return out, nil
}

func (c *Container) processes() ([]int, error) {
	mine, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.PID))
	if err != nil {
		return nil, err
	}
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, folder := range folders {
		if other, err := os.Readlink(folder + "/ns/pid"); err != nil || other != mine {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(folder)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// identity reads proc_pid_status(5).
func identity(pid int) (Identity, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Identity{}, err
	}
	one := Identity{PID: pid}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch name {
		case "Name":
			one.Command = fields[0]
		case "Uid":
			one.UID, err = strconv.Atoi(fields[0])
		case "Gid":
			one.GID, err = strconv.Atoi(fields[0])
		case "CapEff":
			one.Capabilities, err = strconv.ParseUint(fields[0], 16, 64)
		}
		if err != nil {
			return Identity{}, fmt.Errorf("/proc/%d/status: %w", pid, err)
		}
	}
	return one, nil
}

// ReadOnly says whether the root of the container is mounted read-only:
// proc_pid_mountinfo(5).
func (c *Container) ReadOnly() (bool, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", c.PID))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) > 5 && fields[4] == "/" {
			return strings.HasPrefix(fields[5]+",", "ro,"), nil
		}
	}
	return false, fmt.Errorf("container %s has no root", c.Name)
}

// Meter measures the memory of a container until it is told to stop.
type Meter struct {
	stop context.CancelFunc
	done sync.WaitGroup
	peak int64

	// resident is the sum of the resident set sizes when the proportional ones
	// were last read, and since is how many samples ago that was.
	resident int64
	since    int
}

// sampling is how often memory is looked at.
const sampling = 250 * time.Millisecond

// idle is every how many samples memory that does not grow is read all the
// same: pages that are no longer shared count more.
const idle = 20

// Measure looks at the memory of the container's processes again and again:
// their proportional set sizes together, in which shared pages count once.
func (c *Container) Measure(ctx context.Context) *Meter {
	ctx, stop := context.WithCancel(ctx)
	m := &Meter{stop: stop}
	m.done.Go(func() {
		for {
			m.sample(c.resident, c.memory)
			select {
			case <-ctx.Done():
				return
			case <-c.done:
				return
			case <-time.After(sampling):
			}
		}
	})
	return m
}

// Peak stops measuring and gives the most that was seen, in bytes.
func (m *Meter) Peak() int64 {
	m.stop()
	m.done.Wait()
	return m.peak
}

// sample reads the proportional set sizes, for which the kernel walks all
// pages, only where they can be more than the peak: they are never more than
// the resident ones, which it counts as it goes.
func (m *Meter) sample(resident, proportional func() int64) {
	m.since++
	now := resident()
	grown := now > m.resident+m.resident/100
	if now <= m.peak || !grown && m.since < idle {
		return
	}
	m.resident, m.since = now, 0
	m.peak = max(m.peak, proportional())
}

// resident is the sum of the resident set sizes, in bytes: proc_pid_statm(5).
func (c *Container) resident() int64 {
	pids, err := c.processes()
	if err != nil {
		return 0
	}
	var pages int64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(data)); len(fields) > 1 {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				pages += n
			}
		}
	}
	return pages * int64(os.Getpagesize())
}

// memory is the sum of the proportional set sizes, in bytes.
func (c *Container) memory() int64 {
	pids, err := c.processes()
	if err != nil {
		return 0
	}
	var sum int64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) == 3 && fields[0] == "Pss:" {
				if kilobytes, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
					sum += kilobytes * 1024
				}
			}
		}
	}
	return sum
}
