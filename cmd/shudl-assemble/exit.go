package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/image"
	"github.com/shudl/shudl-assemble/layers/keyless"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/rebase"
	"github.com/shudl/shudl-assemble/layers/reproduce"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/resolve"
)

// status is an exit status. 10 to 12 are cosign's.
type status int

const (
	statusDone         status = 0
	statusFailed       status = 1
	statusUsage        status = 2
	statusPermission   status = 4
	statusNotSigned    status = 10
	statusNoTag        status = 11
	statusNoMatch      status = 12
	statusAttestation  status = 13
	statusOutdated     status = 20
	statusNotSame      status = 21
	statusOverBudget   status = 22
	statusInterrupted  status = 130
	statusHelpTemplate        = "%5d  %s\n"
)

// statusMeaning is one exit status in words.
type statusMeaning struct {
	status  status
	meaning string
}

// statuses is the one place where exit statuses are written down; the help is
// made from it.
func statuses() []statusMeaning {
	return []statusMeaning{
		{statusDone, "done"},
		{statusFailed, "failed"},
		{statusUsage, "wrong usage, or a mistake in a recipe or policy"},
		{statusPermission, "authentication or permission is missing"},
		{statusNotSigned, "the image is not signed"},
		{statusNoTag, "there is no such tag"},
		{statusNoMatch, "no signature is by one who may sign"},
		{statusAttestation, "the SBOM, the provenance or the base is missing or wrong"},
		{statusOutdated, "the lock is out of date"},
		{statusNotSame, "the build is not reproducible: a tag that never moves has another digest, or reproduce made other bytes, or an image is not what its recipe and lock make"},
		{statusOverBudget, "a budget, policy or contract is not met"},
		{statusInterrupted, "interrupted"},
	}
}

func exitStatusTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("The exit status says how a command ended:\n\n")
	for _, s := range statuses() {
		fmt.Fprintf(&b, statusHelpTemplate, s.status, s.meaning)
	}
	return &cobra.Command{Use: "exit-status", Short: "What the exit statuses mean", Long: strings.TrimRight(b.String(), "\n")}
}

var errInterrupted = errors.New("interrupted: nothing that was tagged has changed, and what was fetched is kept")

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

// statusOf finds the exit status of an error.
func statusOf(err error) status {
	var (
		wrong    *usageError
		recipe   *recipes.Error
		outdated *resolve.OutdatedError
		budget   *assemble.BudgetError
		inputs   *provenance.InputsError
		unmet    *contract.UnmetError
	)
	switch {
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return statusInterrupted
	case errors.As(err, &wrong), errors.As(err, &recipe), errors.As(err, &inputs),
		errors.Is(err, publish.ErrUsage), errors.Is(err, attest.ErrKeyRequired), errors.Is(err, rebase.ErrBase),
		errors.Is(err, keyless.ErrConfig), errors.Is(err, trust.ErrConfig):
		return statusUsage
	case errors.Is(err, assemble.ErrStatement):
		return statusAttestation
	case errors.Is(err, publish.ErrPermission), errors.Is(err, keyless.ErrIdentity):
		return statusPermission
	case errors.Is(err, verify.ErrNotSigned):
		return statusNotSigned
	case errors.Is(err, publish.ErrNoTag):
		return statusNoTag
	case errors.Is(err, verify.ErrNoMatch):
		return statusNoMatch
	case errors.Is(err, verify.ErrAttestation):
		return statusAttestation
	case errors.As(err, &outdated), errors.Is(err, errMoved):
		return statusOutdated
	case errors.Is(err, publish.ErrMoved), errors.Is(err, reproduce.ErrDiffers), errors.Is(err, image.ErrOther):
		return statusNotSame
	case errors.As(err, &budget), errors.As(err, &unmet), errors.Is(err, verify.ErrPolicy):
		return statusOverBudget
	}
	return statusFailed
}
