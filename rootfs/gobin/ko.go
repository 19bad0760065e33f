package gobin

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/ko/pkg/build"

	"github.com/shudl/shudl-assemble/recipes"
)

// job is one run of ko: the package of the module in Dir, into Output.
type job struct {
	Dir      string
	Env      []string
	Package  string
	Platform recipes.Platform
	LDFlags  []string
	Output   string
}

// Helper does the job that in describes. It is the whole body of the command
// that Options.Helper names: ko holds a binary in memory several times over,
// which is better done by a process that ends.
func Helper(ctx context.Context, in io.Reader) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("ko: no job: %w", err)
	}
	return j.run(ctx)
}

// delegate has the helper do the job.
func (j job) delegate(ctx context.Context, helper []string) error {
	in, err := json.Marshal(j)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, helper[0], helper[1:]...)
	cmd.Env = append(os.Environ(), j.Env...)
	cmd.Stdin = bytes.NewReader(in)
	// The helper passes an interrupt on to the compiler.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if _, err := cmd.Output(); err != nil {
		return describe(err)
	}
	return nil
}

// run builds the program and writes it to the job's output.
func (j job) run(ctx context.Context) error {
	image, err := j.ko(ctx)
	if err != nil {
		return err
	}
	out, err := os.Create(j.Output)
	if err != nil {
		return err
	}
	return errors.Join(extract(image, path.Base(j.Package), out), out.Close())
}

// process guards the process's environment and log. ko loads packages with
// that environment whatever it is told, so the forced variables have to be set
// in it while ko runs, and it writes to that log what would tear progress
// bars; both are state of the whole process, and so is their lock.
var process sync.Mutex

// setenv sets variables, silences the log and returns what undoes it.
func setenv(env []string) (undo func(), err error) {
	process.Lock()
	old, out := map[string]*string{}, log.Writer()
	log.SetOutput(io.Discard)
	undo = func() {
		log.SetOutput(out)
		for name, value := range old {
			if value == nil {
				os.Unsetenv(name)
			} else {
				os.Setenv(name, *value)
			}
		}
		process.Unlock()
	}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if _, seen := old[name]; !seen {
			old[name] = nil
			if was, ok := os.LookupEnv(name); ok {
				old[name] = &was
			}
		}
		if value == "" && name == "GOROOT" {
			err = os.Unsetenv(name)
		} else {
			err = os.Setenv(name, value)
		}
		if err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}

// ko builds the program onto an empty base.
func (j job) ko(ctx context.Context) (v1.Image, error) {
	undo, err := setenv(j.Env)
	if err != nil {
		return nil, err
	}
	defer undo()
	base, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
		OS: "linux", Architecture: j.Platform.Go(), RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	ref, err := name.ParseReference("localhost/base")
	if err != nil {
		return nil, err
	}
	b, err := build.NewGo(ctx, j.Dir,
		build.WithBaseImages(func(context.Context, string) (name.Reference, build.Result, error) { return ref, base, nil }),
		build.WithPlatforms(string(j.Platform)),
		build.WithTrimpath(true),
		build.WithDisabledSBOM(),
		build.WithJobs(1),
		build.WithConfig(map[string]build.Config{j.Package: {
			Env:     j.Env,
			Flags:   build.FlagArray{"-buildvcs=false"},
			Ldflags: build.StringArray(j.LDFlags),
		}}),
	)
	if err != nil {
		return nil, fmt.Errorf("ko: %w", err)
	}
	result, err := b.Build(ctx, build.StrictScheme+j.Package)
	if err != nil {
		return nil, fmt.Errorf("ko: %w", err)
	}
	image, ok := result.(v1.Image)
	if !ok {
		return nil, fmt.Errorf("ko: it made a %T, not an image", result)
	}
	return image, nil
}

// extract streams the program out of the last layer of ko's image.
func extract(image v1.Image, program string, out io.Writer) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	if len(layers) == 0 {
		return errors.New("ko: an image without layers")
	}
	in, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		return err
	}
	defer in.Close()
	for tr := tar.NewReader(in); ; {
		h, err := tr.Next()
		if err != nil {
			return fmt.Errorf("ko: no program in its layer: %w", err)
		}
		if h.Typeflag == tar.TypeReg && path.Base(h.Name) == program {
			_, err := io.Copy(out, tr)
			return err
		}
	}
}
