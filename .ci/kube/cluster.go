package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// cluster is the API as its administrator has it, and what was applied to it.
type cluster struct {
	*kubernetes.Clientset
	dynamic  dynamic.Interface
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	warnings *warnings
	objects  []*unstructured.Unstructured
	set      *appsv1.StatefulSet // of the manifests
}

// warnings keeps what the API server says beside its answers, once each.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.said {
		if one == text {
			return
		}
	}
	w.said = append(w.said, text)
}

func newCluster(config *rest.Config, manifests []byte) (*cluster, error) {
	c := &cluster{warnings: &warnings{}}
	var err error
	if c.objects, c.set, err = parse(manifests); err != nil {
		return nil, fmt.Errorf("manifests: %w", err)
	}
	// What a person who applies them would see.
	loud := rest.CopyConfig(config)
	loud.WarningHandler = c.warnings
	if c.dynamic, err = dynamic.NewForConfig(loud); err != nil {
		return nil, err
	}
	quiet := rest.CopyConfig(config)
	quiet.WarningHandler = rest.NoWarnings{}
	if c.Clientset, err = kubernetes.NewForConfig(quiet); err != nil {
		return nil, err
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Discovery()))
	return c, nil
}

// read reads the objects of manifests.
func read(manifests []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		one := &unstructured.Unstructured{}
		err := decoder.Decode(one)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
}

// parse reads the manifests, which have one StatefulSet.
func parse(manifests []byte) ([]*unstructured.Unstructured, *appsv1.StatefulSet, error) {
	all, err := read(manifests)
	if err != nil {
		return nil, nil, err
	}
	var set *appsv1.StatefulSet
	for _, one := range all {
		if one.GetKind() == "StatefulSet" {
			set = &appsv1.StatefulSet{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(one.Object, set); err != nil {
				return nil, nil, err
			}
		}
	}
	if set == nil || len(set.Spec.Template.Spec.Containers) != 1 {
		return nil, nil, errors.New("no StatefulSet with one container is among them")
	}
	return all, set, nil
}

// apply applies the manifests as kubectl does on the server's side, refusing
// fields that the server does not know.
func (c *cluster) apply(ctx context.Context) error {
	for _, object := range c.objects {
		if err := c.applyOne(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// applyOne applies an object; dry, as --dry-run=server does: nothing is kept.
func (c *cluster) applyOne(ctx context.Context, object *unstructured.Unstructured, dry ...string) error {
	what := object.GetKind() + " " + object.GetName()
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	var client dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
	if object.GetNamespace() != "" {
		client = c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	force := true
	_, err = client.Patch(ctx, object.GetName(), types.ApplyPatchType, data,
		metav1.PatchOptions{FieldManager: "kube-test", Force: &force, FieldValidation: metav1.FieldValidationStrict, DryRun: dry})
	if err != nil {
		return fmt.Errorf("apply %s: %w", what, err)
	}
	return nil
}

// surroundings makes what a cluster has and manifests do not: nodes, volumes
// below a folder, and the Secret that its owner makes.
func (c *cluster) surroundings(ctx context.Context, dir string) error {
	for n := range int(*c.set.Spec.Replicas) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", n), Labels: map[string]string{corev1.LabelHostname: fmt.Sprintf("node-%d", n)}}}
		if _, err := c.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
		path := filepath.Join(dir, fmt.Sprintf("volume-%d", n))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("volume-%d", n)}, Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
		}}
		if _, err := c.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return c.secret(ctx)
}

// secret makes the Secret that the pods refer to, with a random value for each
// of its keys.
func (c *cluster) secret(ctx context.Context) error {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.set.Namespace}, StringData: map[string]string{}}
	for _, e := range c.set.Spec.Template.Spec.Containers[0].Env {
		if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
			continue
		}
		random := make([]byte, 24)
		rand.Read(random)
		s.Name = e.ValueFrom.SecretKeyRef.Name
		s.StringData[e.ValueFrom.SecretKeyRef.Key] = hex.EncodeToString(random)
	}
	_, err := c.CoreV1().Secrets(c.set.Namespace).Create(ctx, s, metav1.CreateOptions{})
	return err
}

// password is the value of the variable that has it from a Secret.
func (c *cluster) password(ctx context.Context, variable string) (string, error) {
	for _, e := range c.set.Spec.Template.Spec.Containers[0].Env {
		if e.Name == variable && e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			ref := e.ValueFrom.SecretKeyRef
			s, err := c.CoreV1().Secrets(c.set.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
			if err != nil {
				return "", err
			}
			return string(s.Data[ref.Key]), nil
		}
	}
	return "", fmt.Errorf("no variable %s comes from a Secret", variable)
}

// alive asks whether the API server is ready.
func (c *cluster) alive(ctx context.Context) error {
	return c.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// ready says that all pods of the StatefulSet are, as its controller counts.
func (c *cluster) ready(ctx context.Context) error {
	set, err := c.AppsV1().StatefulSets(c.set.Namespace).Get(ctx, c.set.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if s := set.Status; s.ReadyReplicas != *set.Spec.Replicas || s.ObservedGeneration != set.Generation {
		return fmt.Errorf("%d of %d pods are ready", s.ReadyReplicas, *set.Spec.Replicas)
	}
	return nil
}

// events are the warnings that controllers left, for whoever reads of a
// failure.
func (c *cluster) events(ctx context.Context) []string {
	var out []string
	list, err := c.CoreV1().Events(c.set.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range list.Items {
		if e.Type == corev1.EventTypeWarning {
			out = append(out, e.InvolvedObject.Kind+" "+e.InvolvedObject.Name+": "+e.Message)
		}
	}
	return out
}
