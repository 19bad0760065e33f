package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/layers/contract/unpack"
	"github.com/shudl/shudl-assemble/recipes"
)

// Run does a job and says what it sees, an Event a line. An error is one of
// this machine; what an image does wrong is in its report. A job without
// contracts clears its folder; after any other, what mounts and processes keep
// from going is left to the caller, when the sandbox has ended.
func Run(ctx context.Context, input []byte, output io.Writer) error {
	var job Job
	if err := json.Unmarshal(input, &job); err != nil {
		return fmt.Errorf("read what to test: %w", err)
	}
	r := &run{Job: job, out: json.NewEncoder(output), unpacked: map[recipes.Ref]*root{}}
	err := r.all(ctx)
	if err != nil {
		err = errors.Join(err, r.out.Encode(Event{Error: err.Error()}))
	}
	left := empty(job.Work)
	if len(job.Contracts) > 0 {
		return err
	}
	return errors.Join(err, left)
}

// run is a job on its way.
type run struct {
	Job
	out      *json.Encoder
	tasks    int
	unpacked map[recipes.Ref]*root
}

// root is an unpacked image.
type root struct {
	Image
	dir  string
	tree unpack.Tree
}

func (r *run) all(ctx context.Context) error {
	for i, c := range r.Contracts {
		report, err := r.one(ctx, c)
		if err != nil {
			return fmt.Errorf("test %s: %w", c.Ref, err)
		}
		if err := r.out.Encode(Event{Report: report}); err != nil {
			return err
		}
		if err := r.forget(r.Contracts[i+1:]); err != nil {
			return err
		}
	}
	return nil
}

// one holds one image, or a stack, to its contract.
func (r *run) one(ctx context.Context, c *recipes.Contract) (*Report, error) {
	began := time.Now()
	t := &trial{run: r, contract: c, report: &Report{
		Image: c.Ref.String(), Contract: c.Source, SHA256: string(c.SHA256), Runtime: r.Runtime.Version, IDs: string(r.IDs), Stack: c.Stack,
	}}
	if !c.Stack {
		var err error
		if t.image, err = r.root(ctx, c.Ref); err != nil {
			return nil, err
		}
		t.report.Reference, t.report.Digest, t.report.Size, t.report.Budget = t.image.Reference, t.image.Digest, t.image.Size(), t.image.Budget
		t.look()
	}
	for _, one := range c.Cases {
		if why := t.cannot(one); why != "" {
			t.report.NotShown = append(t.report.NotShown, one.Name+": "+why)
			continue
		}
		err := r.task("test", c.Ref.String()+": "+one.Name, func() error { return t.life(ctx, one) })
		if err != nil {
			return nil, err
		}
	}
	if r.IDs == sandbox.OneID {
		t.report.NotShown = append(t.report.NotShown,
			"which user its processes are, and that files of others are closed to it: a single id is mapped; run the test as root, or delegate ids in /etc/subuid and /etc/subgid and install newuidmap")
	}
	t.report.Took = time.Since(began)
	return t.report, nil
}

// root unpacks an image, unless that was done.
func (r *run) root(ctx context.Context, ref recipes.Ref) (*root, error) {
	if have, ok := r.unpacked[ref]; ok {
		return have, nil
	}
	for _, image := range r.Images {
		if image.Ref != ref {
			continue
		}
		dir, err := os.MkdirTemp(r.Work, "root-")
		if err != nil {
			return nil, err
		}
		made := &root{Image: image, dir: dir}
		err = r.task("unpack", ref.String(), func() error {
			made.tree, err = unpack.Image(ctx, dir, image.Layers, unpack.Options{Owners: r.IDs != sandbox.OneID})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", ref, err)
		}
		r.unpacked[ref] = made
		return made, nil
	}
	return nil, fmt.Errorf("image %s is not among those handed over", ref)
}

// forget removes unpacked images that none of these contracts needs.
func (r *run) forget(next []*recipes.Contract) error {
	needed := map[recipes.Ref]bool{}
	for _, c := range next {
		needed[c.Ref] = needed[c.Ref] || !c.Stack
		for _, helper := range c.Helpers() {
			needed[helper] = true
		}
	}
	for ref, one := range r.unpacked {
		if needed[ref] {
			continue
		}
		delete(r.unpacked, ref)
		if err := Remove(one.dir); err != nil {
			return err
		}
	}
	return nil
}

// task tells of a piece of work that takes a while.
func (r *run) task(verb, subject string, work func() error) error {
	r.tasks++
	number := r.tasks
	if err := r.out.Encode(Event{Start: number, Verb: verb, Subject: subject}); err != nil {
		return err
	}
	err := work()
	done := Event{Done: number}
	if err != nil {
		done.Error = err.Error()
	}
	return errors.Join(err, r.out.Encode(done))
}

// trial is one image and its contract; a stack has no image of its own.
type trial struct {
	*run
	contract *recipes.Contract
	image    *root
	report   *Report
}

// check writes down whether something holds: found is why not.
func (t *trial) check(name, found string) bool {
	t.report.Checks = append(t.report.Checks, Check{Name: name, OK: found == "", Found: found})
	return found == ""
}

// cannot says why a case cannot be shown here; empty means that it can.
func (t *trial) cannot(c recipes.Case) string {
	if t.IDs != sandbox.OneID {
		return ""
	}
	for _, one := range c.Containers {
		if len(one.Capabilities) > 0 {
			return "it changes from one user to another, and a single id is mapped"
		}
	}
	return ""
}

// empty removes all that is in a folder.
func empty(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		err = errors.Join(err, Remove(name))
	}
	return err
}

// Remove removes a tree whose folders may be closed even to their owner.
func Remove(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	open(root, ".")
	return os.RemoveAll(dir)
}

// open makes a folder and all below it writable for their owner, as far as
// that can be done; removing says what could not.
func open(root *os.Root, name string) {
	root.Chmod(name, 0o700)
	folder, err := root.Open(name)
	if err != nil {
		return
	}
	defer folder.Close()
	entries, _ := folder.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			open(root, filepath.Join(name, e.Name()))
		}
	}
}
