// Command kube holds the manifests of `shudl-assemble deploy kubernetes` to a
// real kube-apiserver, its admission and its controllers, with etcd:
//
//	kube --command SHUDL-ASSEMBLE --from oci:DIR --servers DIR [--dcs configmaps|endpoints] [--stacks-only] [--keep]
//
// There is no kubelet, no scheduler and no kube-proxy: kubelet.go, proxy.go
// and network.go do what Patroni needs of them, with pods in a real OCI
// runtime, in network namespaces of their own. All of it lives in a sandbox
// with a network that ends with it. It wants root, for the users of pods and
// for their volumes.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/contract/container"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// insideName is the argument of the part that runs in the sandbox.
const insideName = "inside"

// registry is what the manifests say that images are pulled from. Nothing is.
const registry = "registry.example/shudl"

// job is what the sandbox is asked to do.
type job struct {
	Work, Servers string // folders: of its own; with the built servers
	Store         string // as --dcs
	Manifests     []byte
	Stacks        []stack // the other ones, which are not started
	StacksOnly    bool
	Image         contract.Image
	Runtime       container.Runtime
}

func main() {
	// The first thread is never lent to a pod's network: /proc/1/ns/net is
	// the sandbox's.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == insideName {
		err = sandbox.Enter(ctx, os.Args[2:], inside)
	} else {
		err = outside(ctx, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

// outside writes the manifests, and starts the sandbox.
func outside(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("kube", flag.ContinueOnError)
	var j job
	command := flags.String("command", "shudl-assemble", "the `PROGRAM` under test")
	from := flags.String("from", "", "`DEST` with the published images: oci:DIR")
	flags.StringVar(&j.Servers, "servers", "", "`DIR` with kube-apiserver and kube-controller-manager")
	flags.StringVar(&j.Store, "dcs", "configmaps", "configmaps or endpoints")
	flags.BoolVar(&j.StacksOnly, "stacks-only", false, "only hold the manifests to the API server: no pod is started")
	keep := flags.Bool("keep", false, "keep logs and state")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("it wants root, for the users of pods and for their volumes")
	}
	if !strings.HasPrefix(*from, "oci:") {
		return errors.New("--from: want oci:DIR, a layout on this machine")
	}
	if j.Runtime, err = container.Find(ctx, ""); err != nil {
		return err
	}
	if j.Servers, err = filepath.Abs(j.Servers); err != nil {
		return err
	}
	if j.Image, err = image(ctx, *from); err != nil {
		return err
	}
	if j.Manifests, err = manifests(ctx, *command, *from, "--dcs", j.Store, "--create-namespace"); err != nil {
		return err
	}
	for _, words := range [][]string{{"standalone"}, {"lakehouse"}, {"lakehouse", "--any-uid", "--storage-class", "fast"}} {
		text, err := manifests(ctx, *command, *from, append([]string{"--metrics-from", "monitoring", "--stack"}, words...)...)
		if err != nil {
			return err
		}
		j.Stacks = append(j.Stacks, stack{strings.Join(words, " "), text})
	}
	if j.Work, err = os.MkdirTemp("", "shudl-kube-"); err != nil {
		return err
	}
	defer func() {
		container.RemoveCgroups(filepath.Base(j.Work))
		if *keep {
			fmt.Fprintln(os.Stderr, "kube: kept", j.Work)
			return
		}
		err = errors.Join(err, os.RemoveAll(j.Work))
	}()
	return j.run(ctx)
}

func (j job) run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	input, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return sandbox.Run(ctx, sandbox.Command{
		Args: []string{self, insideName}, Input: input, Stderr: os.Stderr,
		Output: func(r io.Reader) error {
			_, err := io.Copy(os.Stdout, r)
			return err
		},
	})
}

// image finds the image of Patroni, with its layers as files.
func image(ctx context.Context, from string) (contract.Image, error) {
	dest, err := publish.ParseDestination(from, publish.RegistryOptions{})
	if err != nil {
		return contract.Image{}, err
	}
	set, err := recipes.Open("")
	if err != nil {
		return contract.Image{}, err
	}
	patroni, err := set.Image(recipes.Ref{Name: "patroni"}, recipes.Debian, recipes.Machine())
	if err != nil {
		return contract.Image{}, err
	}
	return contract.Published(dest, nil)(ctx, patroni)
}

// manifests has the program under test write them.
func manifests(ctx context.Context, command, from string, more ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, command, append([]string{"deploy", "kubernetes", "--distro", "debian", "--from", from, "--registry", registry}, more...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd, err, stderr.Bytes())
	}
	return out, nil
}
