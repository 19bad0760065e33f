package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/layers/keyless"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// helper is an error that knows the ways on.
type helper interface{ Help() []string }

// report writes an error and what to do about it.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "error: %s\n", redact(indent(err.Error())))
	for _, line := range help(err) {
		fmt.Fprintf(w, "help: %s\n", redact(line))
	}
}

func help(err error) []string {
	var h helper
	var wrong *usageError
	switch {
	case errors.As(err, &h):
		return h.Help()
	case errors.Is(err, fetch.ErrOffline):
		return []string{
			"run `shudl-assemble fetch` with the same images on a machine with a network, or without --offline",
			"--bundle FILE reads what `shudl-assemble fetch --bundle FILE` wrote",
		}
	case errors.Is(err, attest.ErrKeyRequired):
		return []string{
			"`cosign generate-key-pair` makes cosign.key for --key; COSIGN_PASSWORD gives its password",
			"in CI, --keyless signs with the identity of the job",
		}
	case errors.Is(err, keyless.ErrIdentity):
		return keyless.Ways()
	case errors.Is(err, publish.ErrPermission) && !errors.Is(err, fs.ErrPermission): // a registry's, not a folder's
		return []string{"log in with `docker login`, `podman login` or a credential helper; for ghcr.io GITHUB_TOKEN will do, in a job with `packages: write`"}
	case errors.Is(err, publish.ErrPermission):
		return []string{"name another folder, or one that this user may write in"}
	case full(err):
		return []string{
			"free space on that disk: `shudl-assemble cache gc` removes what was not used for 30 days from the store",
			"--cache DIR puts the store on another disk, --to oci:DIR the images",
		}
	case errors.As(err, &wrong):
		return []string{"`shudl-assemble help` lists the commands, `shudl-assemble help COMMAND` their flags"}
	}
	return nil
}

// full says whether a disk, or what a user may have of it, is full. Linux calls
// its limit of namespaces so, too.
func full(err error) bool {
	return (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, sandbox.ErrNoNamespaces)
}

// indent keeps the further lines of a message below its first.
func indent(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

var userInfo = recipes.NewPattern(`://[^/@\s"]+@`)

// redact is the last gate: an address with a user or password in it never
// reaches the terminal, whichever library wrote the message.
func redact(text string) string { return userInfo.ReplaceAllString(text, "://xxxxx@") }
