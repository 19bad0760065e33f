package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/shudl/shudl-assemble/layers/contract/container"
)

// note tells of what a kubelet would write an event about.
func (k *kubelet) note(text string) {
	fmt.Fprintln(os.Stderr, time.Now().UTC().Format("15:04:05"), text)
}

// report writes the pod's status whenever it has changed.
func (p *pod) report(ctx context.Context) {
	for {
		err := p.persist(ctx, "status of pod "+p.name, func(ctx context.Context) error {
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.uid}, "status": p.status()})
			if err != nil {
				return final{err}
			}
			_, err = p.kubelet.cluster.CoreV1().Pods(p.kubelet.cluster.set.Namespace).Patch(ctx, p.name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
			return ignoreGone(err)
		})
		if err != nil && ctx.Err() == nil {
			p.kubelet.note(err.Error())
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return
		}
	}
}

// status is what the API is told of the pod.
func (p *pod) status() corev1.PodStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := metav1.Now()
	condition := func(kind corev1.PodConditionType, yes bool) corev1.PodCondition {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: now}
		if yes {
			c.Status = corev1.ConditionTrue
		}
		return c
	}
	one := corev1.ContainerStatus{
		Name: p.object.Spec.Containers[0].Name, Image: p.object.Spec.Containers[0].Image, ImageID: p.object.Spec.Containers[0].Image,
		Ready: p.ready, Started: &p.started, RestartCount: int32(max(0, p.runs-1)),
	}
	switch {
	case p.current != nil:
		one.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(p.begun)}
	case p.runs == 0:
		one.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	default:
		one.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf("it ended with status %d", p.lastExit)}
	}
	phase := corev1.PodRunning
	if p.runs == 0 {
		phase = corev1.PodPending
	}
	return corev1.PodStatus{
		Phase: phase, PodIP: p.net.address, PodIPs: []corev1.PodIP{{IP: p.net.address}}, HostIP: gateway, StartTime: &p.object.CreationTimestamp,
		Conditions: []corev1.PodCondition{condition(corev1.PodScheduled, true), condition(corev1.PodInitialized, true),
			condition(corev1.ContainersReady, p.ready), condition(corev1.PodReady, p.ready)},
		ContainerStatuses: []corev1.ContainerStatus{one},
	}
}

// probe asks the probes of the pod until the context ends. It says so once if
// the container is to be started again.
func (p *pod) probe(ctx context.Context, c *container.Container, unwell chan<- string) {
	spec := p.seen().Spec.Containers[0]
	if !p.starts(ctx, spec, unwell) {
		return
	}
	p.set(func() { p.started = true })
	go p.ask(ctx, spec, spec.ReadinessProbe, func(ok bool, failures int32) bool {
		if ok || failures >= spec.ReadinessProbe.FailureThreshold {
			if p.isReady() != ok {
				p.set(func() { p.ready = ok && p.current == c })
			}
		}
		return true
	})
	p.ask(ctx, spec, spec.LivenessProbe, func(ok bool, failures int32) bool {
		if failures >= spec.LivenessProbe.FailureThreshold {
			unwell <- "its liveness probe fails"
			return false
		}
		return true
	})
}

// starts waits for the startup probe.
func (p *pod) starts(ctx context.Context, spec corev1.Container, unwell chan<- string) bool {
	started := false
	p.ask(ctx, spec, spec.StartupProbe, func(ok bool, failures int32) bool {
		if failures >= spec.StartupProbe.FailureThreshold {
			unwell <- "its startup probe fails"
			return false
		}
		started = ok
		return !ok
	})
	return started
}

func (p *pod) isReady() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// ask does a probe in its period while the answer to it is to go on; failures
// are those in a row.
func (p *pod) ask(ctx context.Context, spec corev1.Container, probe *corev1.Probe, answer func(ok bool, failures int32) bool) {
	period := time.NewTicker(time.Duration(probe.PeriodSeconds) * time.Second)
	defer period.Stop()
	url := fmt.Sprintf("http://%s%s", net.JoinHostPort(p.net.address, port(spec, probe)), probe.HTTPGet.Path)
	client := &http.Client{Timeout: time.Duration(probe.TimeoutSeconds) * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	failures := int32(0)
	for {
		ok := get(ctx, client, url) == nil
		if ctx.Err() != nil {
			return
		}
		if failures++; ok {
			failures = 0
		}
		if !answer(ok, failures) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-period.C:
		}
	}
}

// port is the number of the port that a probe names.
func port(spec corev1.Container, probe *corev1.Probe) string {
	for _, one := range spec.Ports {
		if one.Name == probe.HTTPGet.Port.String() {
			return fmt.Sprint(one.ContainerPort)
		}
	}
	return probe.HTTPGet.Port.String()
}

// get is content with what a kubelet is: any status from 200 to 399.
func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}
