package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/shudl/shudl-assemble/layers/contract/container"
)

// pod is a pod on its node. Its one container may run many times.
type pod struct {
	kubelet *kubelet
	name    string
	uid     types.UID
	net     *podNetwork
	dir     string
	bound   chan struct{} // closed when it has a node
	end     chan struct{} // closed when it is deleted
	changed chan struct{} // its status did

	mu       sync.Mutex
	object   *corev1.Pod
	current  *container.Container
	begun    time.Time
	runs     int
	started  bool // its startup probe has succeeded
	ready    bool
	held     chan struct{} // while it may not start again
	lastExit int
}

// see takes note of the pod as the API has it.
func (p *pod) see(object *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.object = object
	if object.Spec.NodeName != "" {
		closeOnce(p.bound)
	}
	if object.DeletionTimestamp != nil {
		closeOnce(p.end)
	}
}

// closeOnce wants the lock of whoever else closes it.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (p *pod) scheduled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.object.Spec.NodeName != ""
}

// containers runs the container again and again until the pod is deleted.
func (p *pod) containers(ctx context.Context, spec container.Spec) error {
	delay := time.Duration(0)
	for {
		select {
		case <-p.end:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(delay):
		}
		// As a kubelet: at once, then after 10 s, 20 s and so on.
		delay = min(max(10*time.Second, 2*delay), 5*time.Minute)
		if p.runs == 0 {
			delay = 0
		}
		if err := p.once(ctx, spec); err != nil {
			return err
		}
		p.waitHeld(ctx)
	}
}

// once runs the container to its end.
func (p *pod) once(ctx context.Context, spec container.Spec) error {
	p.mu.Lock()
	p.runs++
	spec.ID = fmt.Sprintf("%s-%s-%d", p.kubelet.id, p.uid, p.runs)
	dir := filepath.Join(p.dir, fmt.Sprintf("run-%d", p.runs))
	p.mu.Unlock()
	var c *container.Container
	err := p.net.in(func() (err error) {
		c, err = p.kubelet.runtime.Start(ctx, dir, spec)
		return err
	})
	if err != nil {
		return err
	}
	p.set(func() { p.current, p.begun, p.started, p.ready = c, time.Now(), false, false })
	probing, stop := context.WithCancel(ctx)
	unwell := make(chan string, 1)
	go p.probe(probing, c, unwell)
	select {
	case <-c.Done():
	case why := <-unwell:
		p.kubelet.note(p.name + ": " + why)
		err = p.terminate(ctx, c)
	case <-p.end:
		err = p.terminate(ctx, c)
	case <-ctx.Done():
	}
	stop()
	status, _ := c.Ended()
	p.set(func() { p.started, p.ready, p.current, p.lastExit = false, false, nil, status })
	return errors.Join(err, c.Remove(context.WithoutCancel(ctx)))
}

// terminate ends a container as its pod says: SIGTERM, and SIGKILL when its
// time is over.
func (p *pod) terminate(ctx context.Context, c *container.Container) error {
	p.set(func() { p.ready = false })
	p.mu.Lock()
	grace := time.Duration(*p.object.Spec.TerminationGracePeriodSeconds) * time.Second
	if s := p.object.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	p.mu.Unlock()
	if err := c.Signal(ctx, "TERM"); err != nil {
		return err
	}
	select {
	case <-c.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(grace):
		p.kubelet.note(fmt.Sprintf("%s: killed, since it did not end within %s", p.name, grace))
		return c.Signal(ctx, "KILL")
	}
}

// set changes the state that the status is made of.
func (p *pod) set(change func()) {
	p.mu.Lock()
	change()
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// kill ends the container by SIGKILL, as a crash would. Where hold is set, it
// is not started again before release.
func (p *pod) kill(ctx context.Context, hold bool) error {
	p.mu.Lock()
	c := p.current
	if hold {
		p.held = make(chan struct{})
	}
	p.mu.Unlock()
	if c == nil {
		return fmt.Errorf("pod %s does not run", p.name)
	}
	if err := c.Signal(ctx, "KILL"); err != nil {
		return err
	}
	select {
	case <-c.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pod) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

func (p *pod) waitHeld(ctx context.Context) {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
		}
	}
}

// exec runs a command in the container, as its user.
func (p *pod) exec(ctx context.Context, args ...string) (string, error) {
	p.mu.Lock()
	c := p.current
	p.mu.Unlock()
	if c == nil {
		return "", fmt.Errorf("pod %s does not run", p.name)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var result container.Result
	err := p.net.in(func() (err error) {
		result, err = c.Exec(ctx, c.Process(args...))
		return err
	})
	if err == nil && result.Status != 0 {
		err = fmt.Errorf("%v in %s: status %d: %s%s", args, p.name, result.Status, result.Stdout, result.Stderr)
	}
	return result.Stdout, err
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// address is empty until the pod has a network.
func (p *pod) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.net == nil {
		return ""
	}
	return p.net.address
}

// log is the file of what the newest run of the container wrote.
func (p *pod) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return filepath.Join(p.dir, fmt.Sprintf("run-%d", p.runs), "log")
}
