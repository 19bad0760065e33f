package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/contract/container"
)

// kubelet does for the pods of a namespace what schedulers and kubelets do:
// it gives each a node, runs its container, probes it, writes its status and
// ends it when it is deleted. It goes on while the API server is away.
//
// Not done: seccomp profiles, limits of memory and processor time, and network
// policies.
type kubelet struct {
	cluster *cluster
	runtime container.Runtime
	network *network
	dir     string // for pods
	root    string // of the image
	image   contract.Image
	id      string // begins the names of containers

	mu   sync.Mutex
	pods map[types.UID]*pod
	last map[string]*pod // by name, the newest
}

// run follows the pods until the context ends.
func (k *kubelet) run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(k.cluster, 0, informers.WithNamespace(k.cluster.set.Namespace))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.see(ctx, o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { k.see(ctx, o.(*corev1.Pod)) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return nil
}

// see takes note of a pod as it is now.
func (k *kubelet) see(ctx context.Context, object *corev1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pods[object.UID]
	if p == nil {
		if object.DeletionTimestamp != nil && object.Spec.NodeName == "" {
			return
		}
		p = &pod{kubelet: k, name: object.Name, uid: object.UID, bound: make(chan struct{}), end: make(chan struct{}), changed: make(chan struct{}, 1)}
		k.pods[object.UID], k.last[object.Name] = p, p
		go p.live(ctx)
	}
	p.see(object)
}

// pod gives the newest pod of a name.
func (k *kubelet) pod(name string) (*pod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.last[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no pod %s was seen", name)
}

// bind gives a pod the node of its number: members are on different nodes.
func (p *pod) bind(ctx context.Context) error {
	var number int
	if _, err := fmt.Sscanf(p.name[len(p.kubelet.cluster.set.Name):], "-%d", &number); err != nil {
		return fmt.Errorf("pod %s: %w", p.name, err)
	}
	return p.persist(ctx, "bind pod "+p.name, func(ctx context.Context) error {
		return p.kubelet.cluster.CoreV1().Pods(p.kubelet.cluster.set.Namespace).Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: p.name, UID: p.uid},
			Target:     corev1.ObjectReference{Kind: "Node", Name: fmt.Sprintf("node-%d", number)},
		}, metav1.CreateOptions{})
	})
}

// persist tries until it succeeds: the API server may be away.
func (p *pod) persist(ctx context.Context, what string, try func(context.Context) error) error {
	return within(ctx, 10*time.Minute, what, try)
}

// live is a pod's whole life.
func (p *pod) live(ctx context.Context) {
	err := p.run(ctx)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "pod %s: %v\n", p.name, err)
	}
}

func (p *pod) run(ctx context.Context) error {
	if !p.scheduled() {
		if err := p.bind(ctx); err != nil {
			return err
		}
	}
	select {
	case <-p.bound:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	network, err := p.kubelet.network.pod(ctx)
	if err != nil {
		return err
	}
	defer network.close()
	p.set(func() { p.net, p.dir = network, filepath.Join(p.kubelet.dir, string(p.uid)) })
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	reporting, stop := context.WithCancel(ctx)
	defer stop()
	go p.report(reporting)
	spec, err := p.spec(ctx)
	if err != nil {
		return err
	}
	if err := p.containers(ctx, spec); err != nil {
		return err
	}
	stop()
	return p.persist(ctx, "delete pod "+p.name, p.gone)
}

// gone tells the API that a deleted pod has ended.
func (p *pod) gone(ctx context.Context) error {
	zero := int64(0)
	err := p.kubelet.cluster.CoreV1().Pods(p.kubelet.cluster.set.Namespace).Delete(ctx, p.name, metav1.DeleteOptions{
		GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &p.uid}})
	return ignoreGone(err)
}
