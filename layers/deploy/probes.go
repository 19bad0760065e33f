package deploy

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/shudl/shudl-assemble/recipes"
)

// patience is how long a service that waits for its own recovery may take to
// start.
const patience = time.Hour

// probes gives a container the image's health check: at the start for as long
// as its contract allows, then as what restarts it, and as what keeps clients
// away. A script has none.
func (s service) probes(c *corev1.Container) {
	h := s.image.Config.Healthcheck
	if s.script != "" || h == nil {
		return
	}
	retries := int32(h.Retries)
	start := s.healthy
	if s.waits {
		start = patience
	}
	c.StartupProbe = execProbe(h, seconds(start)/seconds(h.Interval)+retries)
	if s.beside == "" { // a sidecar that fails must not take its pod's server from its Service
		c.ReadinessProbe = execProbe(h, retries)
	}
	if s.ready != nil {
		c.ReadinessProbe.ProbeHandler = corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: s.ready.path, Port: intstr.FromString(s.ready.port)}}
	}
	// A PostgreSQL that recovers from the crash of one of its processes
	// refuses clients, and to be restarted would only make it begin anew. It
	// ends by itself when it cannot go on.
	if s.part.image != "postgresql" {
		c.LivenessProbe = execProbe(h, retries)
	}
}

// execProbe runs the image's health check as often as the image says.
func execProbe(h *recipes.Healthcheck, failures int32) *corev1.Probe {
	command := h.Test[1:]
	if h.Test[0] == "CMD-SHELL" {
		command = append([]string{"sh", "-c"}, command...)
	}
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}},
		PeriodSeconds: seconds(h.Interval), TimeoutSeconds: seconds(h.Timeout), FailureThreshold: failures,
	}
}
