package sandbox

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reap takes leave of processes of containers whose runtime was killed before
// them, as it is when a health check takes too long: they become children of
// this process, which is the first of its namespace. A dead one that nobody
// takes leave of keeps its container's first process from ever ending, even by
// SIGKILL (pid_namespaces(7)).
func reap(ctx context.Context) {
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, unix.SIGCHLD)
	defer signal.Stop(deaths)
	for {
		select {
		case <-ctx.Done():
			return
		case <-deaths:
		}
		files, _ := filepath.Glob("/proc/[0-9]*/status")
		for _, file := range files {
			status, err := os.ReadFile(file)
			if err != nil || !orphan(status, os.Getpid()) {
				continue
			}
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
				unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
	}
}

// orphan says of a process, by its proc_pid_status(5), that it is a dead child
// of self and began in a namespace below. Children that this program itself
// has started are in its own, and are waited for where they were started.
func orphan(status []byte, self int) bool {
	dead, child, below := false, false, false
	for line := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(line), ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch name {
		case "State":
			dead = fields[0] == "Z"
		case "PPid":
			child = fields[0] == strconv.Itoa(self)
		case "NSpid":
			below = len(fields) > 1
		}
	}
	return dead && child && below
}
