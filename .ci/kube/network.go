package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Addresses exist inside the sandbox alone. The first address of the Services
// is always that of the API server.
const (
	bridge       = "kube0"
	gateway      = "10.244.0.1"
	apiAddress   = "10.96.0.1"
	serviceRange = "10.96.0.0/24"
)

// network is a bridge that pods are on. The sandbox has its first address,
// and those of Services.
type network struct {
	mu   sync.Mutex
	last int // of the pods so far
}

func newNetwork(ctx context.Context) (*network, error) {
	return &network{}, ip(ctx,
		"link add "+bridge+" type bridge", "addr add "+gateway+"/24 dev "+bridge, "addr add "+apiAddress+"/32 dev "+bridge, "link set "+bridge+" up")
}

// service gives the sandbox the address of a Service.
func (n *network) service(ctx context.Context, address string) error {
	return ip(ctx, "addr add "+address+"/32 dev "+bridge)
}

// podNetwork is a network namespace with an address on the bridge. It lives
// as long as the file is open.
type podNetwork struct {
	address string
	file    *os.File
}

// pod makes the network of one more pod; none gets the address of another.
func (n *network) pod(ctx context.Context) (*podNetwork, error) {
	n.mu.Lock()
	n.last++
	number := n.last
	n.mu.Unlock()
	p := &podNetwork{address: fmt.Sprintf("10.244.0.%d", 1+number)}
	port := fmt.Sprintf("pod%d", number)
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if p.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return ip(ctx, "link set lo up", "link add eth0 type veth peer name "+port+" netns 1",
			"addr add "+p.address+"/24 dev eth0", "link set eth0 up", "route add default via "+gateway)
	})
	if err != nil {
		return nil, fmt.Errorf("network of a pod: %w", err)
	}
	return p, ip(ctx, "link set "+port+" master "+bridge+" up")
}

// in runs a function whose children are in the pod's network.
func (p *podNetwork) in(do func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(p.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return do()
	})
}

func (p *podNetwork) close() { p.file.Close() }

// onThread runs a function on a thread that nobody gets after it: a namespace
// is a thread's.
func onThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- do()
	}()
	return <-done
}

func ip(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, out)
		}
	}
	return nil
}
