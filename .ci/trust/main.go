// Command trust holds what shudl-assemble signs to tools that are not ours, on
// real servers: Fulcio, Rekor, a timestamp authority, an OpenID provider and
// two registries on loopback. It wants a network namespace of its own.
//
//	trust serve --dir DIR --bin BIN -- COMMAND [ARG...]
//
// runs a command beside the servers; its environment says where they are.
//
//	trust check --dir DIR --bin BIN --cache CACHE --recipes RECIPES --mirror MIRROR [--attack FORMAT]
//
// pushes images with shudl-assemble, signed in every way, and holds them to
// the table in cells.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
)

func main() {
	// Servers end with the thread that started them, which so is the main one.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if exit, ok := err.(*exec.ExitError); ok { // of the command beside the servers
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "trust:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	usage := errors.New("usage: trust serve|check --dir DIR --bin BIN [-- COMMAND]")
	if len(args) == 0 {
		return usage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for state and logs")
	bin := flags.String("bin", "", "folder of the built servers and clients")
	cache := flags.String("cache", "", "content store that has what the images are made of (check)")
	recipes := flags.String("recipes", "", "folder of the tests' Alpine recipes (check)")
	mirror := flags.String("mirror", "", "folder of Alpine packages that they are made of (check)")
	attacked := flags.String("attack", "", "the one format of signatures that is attacked; empty for all (check)")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *dir == "" || *bin == "" || *attacked != "" && !slices.Contains(formats(), *attacked) {
		return usage
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	s, err := start(ctx, *dir, *bin)
	if err != nil {
		return err
	}
	defer s.stop()
	switch {
	case args[0] == "serve" && flags.NArg() > 0:
		cmd := exec.CommandContext(ctx, flags.Arg(0), flags.Args()[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), s.environment()...)
		return cmd.Run()
	case args[0] == "check" && flags.NArg() == 0:
		w := &world{
			services: s, product: product{s.tool("shudl-assemble"), *cache, *dir},
			clients: []client{{cosign2, s.tool("cosign")}, {cosign3, s.tool("cosign3")}},
			recipes: *recipes, mirror: *mirror, attacked: formats(),
		}
		if *attacked != "" {
			w.attacked = []string{*attacked}
		}
		return w.check(ctx, os.Stdout)
	}
	return usage
}

// environment says where the servers are.
func (s *services) environment() []string {
	return []string{
		"TRUST_DIR=" + s.dir,
		"TRUST_TRUSTED_ROOT=" + s.path("trusted_root.json"),
		"TRUST_KEY_ROOT=" + s.path("key_root.json"),
		"TRUST_SIGNING_CONFIG=" + s.path("signing_config.json"),
		"TRUST_SIGNING_CONFIG_TSA=" + s.path("signing_config_tsa.json"),
		"TRUST_ISSUER=" + issuerURL,
		"TRUST_REQUEST_TOKEN=" + requestToken,
		"TRUST_REGISTRY_REFERRERS=" + referrersRegistry,
		"TRUST_REGISTRY_PLAIN=" + plainRegistry,
	}
}
