package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shudl/shudl-assemble/layers/contract/container"
)

// spec turns the pod into a container, with its volumes made. What a manifest
// says and this does not know is an error, so that nothing is passed over.
func (p *pod) spec(ctx context.Context) (container.Spec, error) {
	object := p.seen()
	c, context := object.Spec.Containers[0], object.Spec.SecurityContext
	if err := p.confined(object); err != nil {
		return container.Spec{}, err
	}
	if _, digest, _ := strings.Cut(c.Image, "@"); digest != p.kubelet.image.Digest {
		return container.Spec{}, fmt.Errorf("pod %s wants %s, which is not the image at hand: %s", p.name, c.Image, p.kubelet.image.Digest)
	}
	config := p.kubelet.image.Config
	env, err := p.environment(ctx, object)
	if err != nil {
		return container.Spec{}, err
	}
	entrypoint, cmd := config.Entrypoint, config.Cmd
	if len(c.Command) > 0 {
		entrypoint, cmd = c.Command, nil
	}
	if len(c.Args) > 0 {
		cmd = c.Args
	}
	dir := config.WorkingDir
	if dir == "" {
		dir = "/"
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return container.Spec{}, err
	}
	spec := container.Spec{
		Name: p.name, Root: p.kubelet.root, Files: files.Max,
		Process: container.Process{
			Args: append(append([]string{}, entrypoint...), cmd...), Env: env, Dir: dir,
			UID: uint32(*context.RunAsUser), GID: uint32(*context.RunAsGroup),
		},
	}
	hosts := filepath.Join(p.dir, "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+p.net.address+" "+p.name+"\n"), 0o644); err != nil {
		return spec, err
	}
	spec.Mounts = []container.Mount{{Source: hosts, Target: "/etc/hosts"}}
	for _, m := range c.VolumeMounts {
		source, err := p.volume(ctx, object, m.Name)
		if err != nil {
			return spec, fmt.Errorf("volume %s of pod %s: %w", m.Name, p.name, err)
		}
		spec.Mounts = append(spec.Mounts, container.Mount{Source: source, Target: m.MountPath, ReadOnly: m.ReadOnly})
	}
	return spec, nil
}

// seen is the pod as the API had it last.
func (p *pod) seen() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.object
}

// confined holds the pod to what package container does with every container,
// and to the probes that this knows.
func (p *pod) confined(object *corev1.Pod) error {
	c := object.Spec.Containers[0]
	s, own := object.Spec.SecurityContext, c.SecurityContext
	switch {
	case len(object.Spec.Containers) != 1 || len(object.Spec.InitContainers) != 0:
		return errors.New("a pod of more than one container is not known here")
	case s == nil || s.RunAsUser == nil || s.RunAsGroup == nil || s.FSGroup == nil || *s.FSGroup != *s.RunAsGroup:
		return errors.New("only a user and one group, which owns the volumes, is known here")
	case own == nil || own.RunAsUser != nil || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation,
		own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem, own.Capabilities == nil || len(own.Capabilities.Add) != 0:
		return errors.New("only a read-only root without rights is known here")
	}
	for _, one := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if one == nil || one.HTTPGet == nil {
			return errors.New("only a container with all three probes, by HTTP, is known here")
		}
	}
	return nil
}

// environment is the image's and the pod's variables, with the address of the
// API, which every pod gets.
func (p *pod) environment(ctx context.Context, object *corev1.Pod) ([]string, error) {
	values, names := map[string]string{}, []string{}
	set := func(name, value string) {
		if _, old := values[name]; !old {
			names = append(names, name)
		}
		values[name] = value
	}
	for _, one := range p.kubelet.image.Config.Env {
		name, value, _ := strings.Cut(one, "=")
		set(name, value)
	}
	set("KUBERNETES_SERVICE_HOST", apiAddress)
	set("KUBERNETES_SERVICE_PORT", "443")
	for _, e := range object.Spec.Containers[0].Env {
		value := expand(e.Value, values)
		if e.ValueFrom != nil {
			var err error
			if value, err = p.valueFrom(ctx, object, e.ValueFrom); err != nil {
				return nil, fmt.Errorf("variable %s of pod %s: %w", e.Name, p.name, err)
			}
		}
		set(e.Name, value)
	}
	var env []string
	for _, name := range names {
		env = append(env, name+"="+values[name])
	}
	return env, nil
}

var reference = regexp.MustCompile(`\$\$|\$\([-._a-zA-Z][-._a-zA-Z0-9]*\)`)

// expand puts values for $(NAME); $$ stands for $, and names that are not
// known stay.
func expand(text string, values map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, ok := values[found[2:len(found)-1]]; ok {
			return value
		}
		return found
	})
}

func (p *pod) valueFrom(ctx context.Context, object *corev1.Pod, from *corev1.EnvVarSource) (string, error) {
	switch {
	case from.FieldRef != nil:
		switch path := from.FieldRef.FieldPath; path {
		case "metadata.name":
			return object.Name, nil
		case "metadata.namespace":
			return object.Namespace, nil
		case "status.podIP":
			return p.net.address, nil
		default:
			return "", fmt.Errorf("field %s is not known here", path)
		}
	case from.SecretKeyRef != nil:
		var value string
		ref := from.SecretKeyRef
		err := p.persist(ctx, "secret "+ref.Name, func(ctx context.Context) error {
			s, err := p.kubelet.cluster.CoreV1().Secrets(object.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			data, ok := s.Data[ref.Key]
			if value = string(data); !ok {
				return fmt.Errorf("it has no key %s", ref.Key)
			}
			return nil
		})
		return value, err
	}
	return "", errors.New("its source is not known here")
}
