package image

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/recipes"
)

// configuration is the OCI image configuration with Docker's health check in
// it, where Docker, Podman and Kubernetes tooling look for it.
type configuration struct {
	Created *time.Time `json:"created"`
	ocispec.Platform
	Config  execution         `json:"config"`
	RootFS  ocispec.RootFS    `json:"rootfs"`
	History []ocispec.History `json:"history"`
}

type execution struct {
	ocispec.ImageConfig
	Healthcheck *healthcheck `json:"Healthcheck,omitempty"`
}

// healthcheck is Docker's, durations in nanoseconds.
type healthcheck struct {
	Test        []string      `json:"Test"`
	Interval    time.Duration `json:"Interval,omitempty"`
	Timeout     time.Duration `json:"Timeout,omitempty"`
	StartPeriod time.Duration `json:"StartPeriod,omitempty"`
	Retries     int           `json:"Retries,omitempty"`
}

// config makes the configuration's bytes.
func (b *Built) config() ([]byte, error) {
	os, arch, _ := strings.Cut(string(b.Platform), "/")
	c := configuration{
		Created:  &b.Created,
		Platform: ocispec.Platform{OS: os, Architecture: arch},
		Config:   b.execution(),
		RootFS:   ocispec.RootFS{Type: "layers"},
	}
	for _, l := range b.Layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, hexDigest(l.Blob.DiffID))
		c.History = append(c.History, ocispec.History{
			Created:   &b.Created,
			CreatedBy: createdBy(l.Image, l.Name),
		})
	}
	return json.Marshal(c)
}

// createdBy says in the history where a layer comes from.
func createdBy(image, layer string) string {
	return "shudl-assemble: image " + image + ", layer " + layer
}

// execution says how the image runs: what its recipe says, the parent's
// recipe included, which recipes have merged already.
func (b *Built) execution() execution {
	c := b.Image.Config
	e := execution{ImageConfig: ocispec.ImageConfig{
		User:         c.User,
		ExposedPorts: set(c.Ports),
		Volumes:      set(c.Volumes),
		Entrypoint:   c.Entrypoint,
		Cmd:          c.Cmd,
		WorkingDir:   c.WorkingDir,
		StopSignal:   c.StopSignal,
		Labels:       b.labels(),
	}}
	for _, v := range c.Env {
		e.Env = append(e.Env, v.Name+"="+v.Value)
	}
	if h := c.Healthcheck; h != nil && len(h.Test) > 0 {
		e.Healthcheck = &healthcheck{command(*h), h.Interval, h.Timeout, h.StartPeriod, h.Retries}
	}
	return e
}

// command is the test in Docker's form, whose first word says how it runs.
func command(h recipes.Healthcheck) []string {
	switch h.Test[0] {
	case "CMD", "CMD-SHELL", "NONE":
		return h.Test
	}
	return slices.Insert(slices.Clone(h.Test), 0, "CMD")
}

// labels are the recipe's, and what annotations say too, for those who see
// only the configuration.
func (b *Built) labels() map[string]string {
	l := map[string]string{
		ocispec.AnnotationTitle:       b.Image.Name,
		ocispec.AnnotationDescription: b.Image.Summary,
		ocispec.AnnotationVersion:     b.Version,
	}
	maps.Copy(l, b.Image.Config.Labels)
	return l
}

func set(names []string) map[string]struct{} {
	if len(names) == 0 {
		return nil
	}
	s := make(map[string]struct{}, len(names))
	for _, n := range names {
		s[n] = struct{}{}
	}
	return s
}

func hexDigest(d recipes.Digest) digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, string(d))
}
