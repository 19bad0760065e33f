// Package contract starts images in a real OCI runtime and holds them to their
// contracts: the test.yaml beside their recipes.
package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shudl/shudl-assemble/layers/contract/container"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/layers/contract/trial"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// Report is what was seen of one image.
type Report = trial.Report

// Image is an image with the files of its layers.
type Image = trial.Image

// Source finds the image of a recipe, to be tested or to help.
type Source func(ctx context.Context, image *recipes.Image) (Image, error)

// Options say what to test.
type Options struct {
	Set      *recipes.Set
	Distro   recipes.Distro
	Platform recipes.Platform
	// Refs are the images under test, in this order.
	Refs []recipes.Ref
	// Stacks are names of stacks that are tested after them.
	Stacks []string
	// Source gives these, and those that help them.
	Source Source
	// Command is this program and the arguments by which it calls Inside.
	Command []string
	// Runtime is an OCI runtime by path or name; empty means what there is.
	Runtime string
	// Work is a folder for unpacked images; empty means the system's own for
	// temporary files. Programs must be allowed to run from it.
	Work     string
	Progress progress.Sink
	// Stderr receives what the sandbox itself has to complain of.
	Stderr io.Writer
}

// UnmetError says that images do not do what their contracts say.
type UnmetError struct{ Images []string }

func (e *UnmetError) Error() string {
	return "the contract is not met by " + strings.Join(e.Images, ", ")
}

// ErrPlatform says that this machine runs no images of the platform.
var ErrPlatform = errors.New("this machine cannot start it")

// Run tests images, one after the other. The reports hold what was seen, also
// where the error is an UnmetError; any other error is one of this machine.
func Run(ctx context.Context, o Options) (reports []Report, err error) {
	if o.Progress == nil {
		o.Progress = progress.Discard{}
	}
	if want := recipes.Machine(); o.Platform != want {
		return nil, fmt.Errorf("test images of %s: %w: its own are %s", o.Platform, ErrPlatform, want)
	}
	job, err := o.job(ctx)
	if err != nil {
		return nil, err
	}
	if job.Work, err = os.MkdirTemp(o.Work, "shudl-test-"); err != nil {
		return nil, fmt.Errorf("folder for unpacked images (--work DIR): %w", err)
	}
	defer func() { err = errors.Join(err, o.clean(ctx, job)) }()
	if reports, err = o.talk(ctx, job); err != nil {
		return reports, err
	}
	var unmet UnmetError
	for _, r := range reports {
		if !r.Met() {
			unmet.Images = append(unmet.Images, r.Image)
		}
	}
	if len(unmet.Images) > 0 {
		return reports, &unmet
	}
	return reports, nil
}

// Inside is what the sandbox runs: see Options.Command.
func Inside(ctx context.Context, args []string) error { return sandbox.Enter(ctx, args, trial.Run) }

// job gathers contracts and images.
func (o Options) job(ctx context.Context) (trial.Job, error) {
	job := trial.Job{IDs: sandbox.Detect(), Arch: runtime.GOARCH}
	var err error
	if job.Runtime, err = container.Find(ctx, o.Runtime); err != nil {
		return job, err
	}
	for _, ref := range o.Refs {
		c, err := o.Set.Contract(ref, o.Distro, o.Platform)
		if err != nil {
			return job, err
		}
		job.Contracts = append(job.Contracts, c)
	}
	for _, name := range o.Stacks {
		c, err := o.Set.Stack(name, o.Distro, o.Platform)
		if err != nil {
			return job, err
		}
		job.Contracts = append(job.Contracts, c)
	}
	have := map[recipes.Ref]bool{}
	for _, c := range job.Contracts {
		refs := c.Helpers()
		if !c.Stack {
			refs = append([]recipes.Ref{c.Ref}, refs...)
		}
		for _, ref := range refs {
			if have[ref] {
				continue
			}
			have[ref] = true
			if err := o.add(ctx, &job, ref); err != nil {
				return job, err
			}
		}
	}
	return job, nil
}

// add puts an image into a job, with its contract.
func (o Options) add(ctx context.Context, job *trial.Job, ref recipes.Ref) error {
	c, err := o.Set.Contract(ref, o.Distro, o.Platform)
	if err != nil {
		return err
	}
	job.Helpers = append(job.Helpers, c)
	recipe, err := o.Set.Image(ref, o.Distro, o.Platform)
	if err != nil {
		return err
	}
	image, err := o.Source(ctx, recipe)
	if err != nil {
		return err
	}
	image.Ref, image.Budget = recipe.Ref, recipe.Budget
	job.Images = append(job.Images, image)
	return nil
}

// talk runs the job in a sandbox and hears what it sees.
func (o Options) talk(ctx context.Context, job trial.Job) ([]Report, error) {
	input, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	h := &hearing{sink: o.Progress, tasks: map[int]progress.Task{}}
	err = sandbox.Run(ctx, sandbox.Command{Args: o.Command, Input: input, Output: h.listen, Stderr: o.Stderr})
	h.silence(err)
	if h.fault != "" && ctx.Err() == nil {
		err = errors.New(h.fault)
	}
	return h.reports, err
}

// clean removes the job's folder. What a sandbox left that has other owners
// goes by another sandbox, which has the same ids.
func (o Options) clean(ctx context.Context, job trial.Job) error {
	container.RemoveCgroups(filepath.Base(job.Work))
	if err := trial.Remove(job.Work); err == nil {
		return nil
	}
	job.Contracts, job.Images, job.Helpers = nil, nil, nil
	if _, err := o.talk(context.WithoutCancel(ctx), job); err != nil {
		return fmt.Errorf("remove %s: %w", job.Work, err)
	}
	return trial.Remove(job.Work)
}

// hearing is what a sandbox has said so far.
type hearing struct {
	sink    progress.Sink
	tasks   map[int]progress.Task
	reports []Report
	fault   string
}

func (h *hearing) listen(r io.Reader) error {
	decoder := json.NewDecoder(r)
	for {
		var e trial.Event
		switch err := decoder.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("hear the sandbox: %w", err)
		}
		h.event(e)
	}
}

func (h *hearing) event(e trial.Event) {
	switch {
	case e.Report != nil:
		h.reports = append(h.reports, *e.Report)
	case e.Start != 0:
		h.tasks[e.Start] = h.sink.Start(e.Verb, e.Subject)
	case e.Done != 0:
		if task := h.tasks[e.Done]; task != nil {
			var err error
			if e.Error != "" {
				err = errors.New(e.Error)
			}
			task.Done(err)
			delete(h.tasks, e.Done)
		}
	case e.Error != "":
		h.fault = e.Error
	}
}

// silence ends the tasks of a sandbox that ended in their midst.
func (h *hearing) silence(err error) {
	for _, task := range h.tasks {
		task.Done(err)
	}
}
