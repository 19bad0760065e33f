// Package container starts containers through an OCI runtime, which a machine
// with containers has: runc, crun, or another that takes the same commands.
package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Runtime is an OCI runtime of this machine.
type Runtime struct {
	Path    string // of the program
	Name    string // runc, crun
	Version string // its first line of --version
}

// ErrNoRuntime says that this machine has none.
var ErrNoRuntime = errors.New("no OCI runtime is on this machine: install runc or crun (podman and docker bring one), or name one by --runtime")

// places are folders that engines keep their runtime in, beside those of PATH.
func places() []string {
	return []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec/podman", "/usr/lib/podman", "/usr/lib/cri-o-runc/sbin", "/usr/libexec/crio"}
}

// Find finds a runtime: the program that is named, else runc, else crun.
func Find(ctx context.Context, named string) (Runtime, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return Runtime{}, fmt.Errorf("runtime: %w", err)
		}
		return describe(ctx, path)
	}
	var last error
	for _, name := range []string{"runc", "crun"} {
		path, err := exec.LookPath(name)
		for _, dir := range places() {
			if err == nil {
				break
			}
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
		if err != nil {
			continue
		}
		r, err := describe(ctx, path)
		if err == nil {
			return r, nil
		}
		last = err
	}
	if last != nil {
		return Runtime{}, last
	}
	return Runtime{}, ErrNoRuntime
}

// describe asks a runtime for its version, which also shows that it starts.
func describe(ctx context.Context, path string) (Runtime, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Runtime{}, err
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Runtime{}, fmt.Errorf("runtime %s: %w", path, err)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	return Runtime{Path: path, Name: filepath.Base(path), Version: version}, nil
}

// command is a call of the runtime whose containers are kept in a folder.
func (r Runtime) command(ctx context.Context, state string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Path, append([]string{"--root", state}, args...)...)
	// Nothing of the caller's environment reaches the runtime. One written in
	// Go signals itself in order to switch goroutines, and some versions of
	// runc hand these signals on to the container.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + state, "GODEBUG=asyncpreemptoff=1"}
	return cmd
}
