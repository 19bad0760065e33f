// Package gobin builds Go programs through ko, each in a generated module of
// its own, so that the result depends on the module's go.mod and go.sum, the
// Go version and the recipe, and on nothing else of the machine.
package gobin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Options says how programs are built. The zero value uses the go command on
// the PATH with the user's own caches.
type Options struct {
	// Command is the go command; "go" where empty.
	Command string
	// Version is the Go version that the lock names (go1.26.8); empty takes
	// what Command is.
	Version string
	// Cache and ModCache replace the user's GOCACHE and GOMODCACHE. They may
	// be empty folders: the result is the same.
	Cache, ModCache string
	// Reuse takes modules that the user's own module cache has downloaded
	// into ModCache; the go command holds each to go.sum.
	Reuse bool
	// Fetcher, where it is offline or has a bundle, brings the modules: then
	// the go command never uses the network.
	Fetcher *fetch.Fetcher
	// Helper is a command that does nothing but Helper; ko runs in it, so
	// that its memory is not this process's. Without one, it runs here.
	Helper []string
}

// ErrNoGo says that there is no go command on this machine.
var ErrNoGo = errors.New("no go command was found: Go programs are compiled here; install Go (https://go.dev/dl) or take their binaries from a store that has them")

// toolchain is a go command and the user's settings that it may use.
type toolchain struct {
	command string
	env     map[string]string // of go env
	// downloads is a module mirror on this machine; empty where there is none.
	downloads string
}

// find looks at the go command and holds it to the wanted version.
func find(ctx context.Context, o Options) (*toolchain, error) {
	t := &toolchain{command: o.Command}
	if t.command == "" {
		t.command = "go"
	}
	path, err := exec.LookPath(t.command)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoGo, err)
	}
	t.command = path
	cmd := exec.CommandContext(ctx, path, "env", "-json")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off")
	cmd.Dir = os.TempDir()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s env: %w", path, describe(err))
	}
	if err := json.Unmarshal(out, &t.env); err != nil {
		return nil, fmt.Errorf("%s env: %w", path, err)
	}
	if have := t.env["GOVERSION"]; o.Version != "" && have != o.Version {
		return nil, fmt.Errorf("the lock builds Go programs with %s, and %s is %s: install that version, or `shudl-assemble lock --refresh` for this one", o.Version, path, have)
	}
	if o.Cache != "" {
		t.env["GOCACHE"] = o.Cache
	}
	if o.ModCache != "" {
		if users := t.env["GOMODCACHE"]; o.Reuse && users != "" {
			mirror := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(users, "cache", "download"))}
			t.downloads = mirror.String()
			t.env["GOPROXY"] = t.downloads + "," + t.env["GOPROXY"]
		}
		t.env["GOMODCACHE"] = o.ModCache
	}
	return t, nil
}

// Check looks for the go command and holds it to the wanted version, before
// work is begun that needs it.
func (o Options) Check(ctx context.Context) error {
	_, err := find(ctx, o)
	return err
}

// forced is the environment of every go command, last so that it counts:
// what could change a build has one value, and of the user's settings only
// those stay that say where modules come from and where caches are.
func (t *toolchain) forced(p recipes.Platform) []string {
	env := []string{
		"GOOS=linux", "GOARCH=" + p.Go(), "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOENV=off", "GOWORK=off",
		"GOEXPERIMENT=", "GOTOOLCHAIN=local", "GO111MODULE=on", "GOFIPS140=off", "GODEBUG=", "GOPACKAGESDRIVER=off",
		"GOROOT=", "GOBIN=", "GCCGO=", "KOCACHE=", "KO_GO_PATH=" + t.command,
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS", "GOSUMDB", "GOPROXY"} {
		env = append(env, name+"="+t.env[name])
	}
	return env
}

// run executes a go command in dir and returns what it prints.
func (t *toolchain) run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, t.command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), describe(err))
	}
	return string(out), nil
}

// describe adds the end of what a failed command said.
func describe(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	said := strings.TrimSpace(string(exit.Stderr))
	if len(said) > maxSaid {
		said = "…" + said[len(said)-maxSaid:]
	}
	return fmt.Errorf("%w: %s", err, said)
}

// maxSaid is how much of a compiler's output an error carries, in bytes.
const maxSaid = 4 << 10
