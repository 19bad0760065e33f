package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// stack is one whose manifests the API server is only asked about.
type stack struct {
	Name      string
	Manifests []byte
}

// stacks holds the manifests of the other stacks to what the server takes, as
// --dry-run=server does. No controller runs for what is not kept, so that the
// pods are made here of their templates, for Pod Security to admit.
func (w *world) stacks(ctx context.Context) error {
	// A controller makes it, and no pod is admitted without.
	err := within(ctx, patience, "the namespace has its account", func(ctx context.Context) error {
		_, err := w.cluster.CoreV1().ServiceAccounts(w.cluster.set.Namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range w.Stacks {
		objects, err := read(s.Manifests)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		pods := 0
		for _, object := range objects {
			if err := w.cluster.applyOne(ctx, object, metav1.DryRunAll); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			pod, err := podOf(object)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			if pod == nil {
				continue
			}
			pods++
			if err := w.cluster.applyOne(ctx, pod, metav1.DryRunAll); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		if pods == 0 {
			return fmt.Errorf("%s has no pods", s.Name)
		}
		fmt.Fprintf(w.out, "%s: %s: %d objects and %d pods are taken\n", w.Store, s.Name, len(objects), pods)
	}
	return nil
}

// podOf makes the pod of an object's template, with its claims as volumes; nil
// where it has none.
func podOf(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	template, found, err := unstructured.NestedMap(object.Object, "spec", "template")
	if err != nil || !found {
		return nil, err
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName(object.GetName())
	pod.SetNamespace(object.GetNamespace())
	claims, _, err := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates")
	if err != nil {
		return nil, err
	}
	volumes, _, err := unstructured.NestedSlice(template, "spec", "volumes")
	if err != nil {
		return nil, err
	}
	for _, claim := range claims {
		name, _, err := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
		if err != nil {
			return nil, err
		}
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name + "-" + object.GetName() + "-0"}})
	}
	return pod, unstructured.SetNestedSlice(pod.Object, volumes, "spec", "volumes")
}
