package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/shudl/shudl-assemble/recipes"
)

// HA writes the manifests of Patroni on Kubernetes: three members, one of
// them the leader. They are admitted under Pod Security "restricted".
func HA(ctx context.Context, o Options) ([]byte, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	image, err := o.Set.Image(recipes.Ref{Name: "patroni"}, o.Distro, o.Platform)
	if err != nil {
		return nil, err
	}
	p := patroni{Options: o, image: image}
	if p.pull, err = o.pinned(ctx, image); err != nil {
		return nil, err
	}
	if p.uid, p.gid, err = ids(image); err != nil {
		return nil, err
	}
	return marshal(p.objects())
}

// ids are the numbers that an image runs as.
func ids(image *recipes.Image) (uid, gid int64, err error) {
	u, g, _ := strings.Cut(image.Config.User, ":")
	if uid, err = strconv.ParseInt(u, 10, 64); err == nil {
		gid, err = strconv.ParseInt(g, 10, 64)
	}
	if err != nil || uid == 0 {
		return 0, 0, fmt.Errorf("%s: user %q of the recipe is not UID:GID of a user other than root", image.Ref, image.Config.User)
	}
	return uid, gid, nil
}

// marshal writes objects as one YAML stream. What only a server fills in is
// left out.
func marshal(objects []any) ([]byte, error) {
	var out bytes.Buffer
	for i, object := range objects {
		raw, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		var fields map[string]any
		if err := yaml.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		delete(fields, "status")
		prune(fields)
		text, err := yaml.Marshal(fields)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

// prune takes out each empty status, which the types of Kubernetes write into
// templates, too.
func prune(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if m, ok := inner.(map[string]any); ok && key == "status" && len(m) == 0 {
				delete(v, key)
				continue
			}
			prune(inner)
		}
	case []any:
		for _, inner := range v {
			prune(inner)
		}
	}
}

// probe asks an address of the container as often as the image's own health
// check does.
func probe(h *recipes.Healthcheck, path string, port string, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(port)}},
		PeriodSeconds: seconds(h.Interval), TimeoutSeconds: seconds(h.Timeout), FailureThreshold: failures,
	}
}

func seconds(d time.Duration) int32 { return int32(math.Max(1, math.Ceil(d.Seconds()))) }

// confined is the security context of every container.
func confined() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr(false), ReadOnlyRootFilesystem: ptr(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// podContext is the security context of every pod.
func podContext(uid, gid int64) *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot: ptr(true), RunAsUser: &uid, RunAsGroup: &gid, FSGroup: &gid,
		FSGroupChangePolicy: ptr(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func kind(version, name string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: name}
}

func ptr[T any](v T) *T { return &v }
