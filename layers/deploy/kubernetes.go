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
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/shudl/shudl-assemble/recipes"
)

// ha writes the manifests of Patroni on Kubernetes: its members, one of
// them the leader.
func (o *Options) ha(ctx context.Context) (Manifests, error) {
	s, err := o.service(ctx, part{name: "patroni", image: "patroni"})
	if err != nil {
		return Manifests{}, err
	}
	p := patroni{Options: *o, image: s.image, pull: s.pull, uid: s.uid, gid: s.gid, healthy: s.healthy}
	text, err := marshal(p.objects())
	return Manifests{Text: text, Notes: o.notes(p.secretNames())}, err
}

// namespace is the one of all objects, where it is wanted among them.
func (o *Options) namespace() []any {
	if !o.CreateNamespace {
		return nil
	}
	return []any{&corev1.Namespace{TypeMeta: kind("v1", "Namespace"), ObjectMeta: metav1.ObjectMeta{
		Name: o.Namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}}
}

// claims are the volume of a pod of a StatefulSet.
func (o *Options) claims(name, size string) []corev1.PersistentVolumeClaim {
	spec := corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}}
	if o.StorageClass != "" {
		spec.StorageClassName = &o.StorageClass
	}
	return []corev1.PersistentVolumeClaim{{TypeMeta: kind("v1", "PersistentVolumeClaim"), ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}}
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
func (o *Options) podContext(uid, gid int64) *corev1.PodSecurityContext {
	c := &corev1.PodSecurityContext{
		RunAsNonRoot:        ptr(true),
		FSGroupChangePolicy: ptr(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if !o.AnyUID {
		c.RunAsUser, c.RunAsGroup, c.FSGroup = &uid, &gid, &gid
	}
	return c
}

func kind(version, name string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: name}
}

func ptr[T any](v T) *T { return &v }
