package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	listers "k8s.io/client-go/listers/discovery/v1"
)

// proxy does for one Service what kube-proxy does: a connection to its address
// reaches one of the ready addresses of its EndpointSlices. It goes on with
// those that it knew last while the API server is away.
type proxy struct {
	service *corev1.Service
	slices  listers.EndpointSliceNamespaceLister
	address string // of the Service, with the port
}

// newProxy serves until the context ends.
func newProxy(ctx context.Context, c *cluster, n *network, name string) (*proxy, error) {
	service, err := c.CoreV1().Services(c.set.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if err := n.service(ctx, service.Spec.ClusterIP); err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c, 0, informers.WithNamespace(service.Namespace))
	p := &proxy{
		service: service, slices: factory.Discovery().V1().EndpointSlices().Lister().EndpointSlices(service.Namespace),
		address: net.JoinHostPort(service.Spec.ClusterIP, fmt.Sprint(service.Spec.Ports[0].Port)),
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(ctx, conn)
		}
	}()
	return p, nil
}

// ready are the addresses that take connections, by the port of the Service's
// first port's name.
func (p *proxy) ready() ([]string, error) {
	slices, err := p.slices.List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: p.service.Name}))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, slice := range slices {
		for _, port := range slice.Ports {
			if port.Name == nil || *port.Name != p.service.Spec.Ports[0].Name || port.Port == nil {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready == nil || *e.Conditions.Ready {
					out = append(out, net.JoinHostPort(e.Addresses[0], fmt.Sprint(*port.Port)))
				}
			}
		}
	}
	return out, nil
}

// dialing bounds one connection to a pod.
const dialing = 2 * time.Second

func (p *proxy) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	ready, err := p.ready()
	if err != nil || len(ready) == 0 {
		return
	}
	pod, err := (&net.Dialer{Timeout: dialing}).DialContext(ctx, "tcp", ready[rand.IntN(len(ready))])
	if err != nil {
		return
	}
	defer pod.Close()
	// Either side's end is the end of both.
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, pod}, {pod, client}} {
		go func() {
			io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}
