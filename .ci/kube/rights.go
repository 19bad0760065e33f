package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// confines shows that what is to hold Patroni is there: a pod that says nothing
// of its rights is not admitted, and Patroni's account may do no more than it
// needs.
func (w *world) confines(ctx context.Context) error {
	namespace, account := w.cluster.set.Namespace, w.cluster.set.Spec.Template.Spec.ServiceAccountName
	loose := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "loose"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: registry}}}}
	err := within(ctx, patience, "the namespace has its accounts", func(ctx context.Context) error {
		_, err := w.cluster.CoreV1().Pods(namespace).Create(ctx, loose, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case err == nil:
			return final{errors.New("a pod without a security context is admitted")}
		case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "violates PodSecurity"):
			return nil
		}
		return err // the default account is made in a moment
	})
	if err != nil {
		return err
	}
	state := w.cluster.set.Name + "-leader"
	for _, no := range []authorizationv1.ResourceAttributes{
		{Verb: "get", Resource: "secrets"}, {Verb: "create", Resource: "pods"}, {Verb: "create", Resource: "pods", Subresource: "exec"},
		{Verb: "create", Resource: "services"}, {Verb: "delete", Resource: w.Store, Name: state}, {Verb: "patch", Resource: w.Store, Name: "other"},
		{Verb: "patch", Resource: "pods", Name: "other"}, {Verb: "get", Resource: "nodes"},
	} {
		no.Namespace = namespace
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:serviceaccounts", "system:authenticated"}, ResourceAttributes: &no}}
		answer, err := w.cluster.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if answer.Status.Allowed {
			return fmt.Errorf("the account of Patroni may %s %s/%s %s", no.Verb, no.Resource, no.Subresource, no.Name)
		}
	}
	return nil
}

// discreet looks for the values of the Secret in all that the containers have
// written, and in the command lines of all processes.
func (w *world) discreet(ctx context.Context) error {
	secrets, err := w.cluster.CoreV1().Secrets(w.cluster.set.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var files []string
	for _, pattern := range []string{w.path("pods") + "/*/run-*/log", "/proc/[0-9]*/cmdline"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return errors.Join(err, fmt.Errorf("nothing to look at: %s", pattern))
		}
		files = append(files, found...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || err != nil && strings.HasPrefix(file, "/proc/") {
			continue // the process has ended
		}
		if err != nil {
			return err
		}
		for _, s := range secrets.Items {
			for key, value := range s.Data {
				if bytes.Contains(data, value) {
					return fmt.Errorf("%s has the value of %s", file, key)
				}
			}
		}
	}
	return nil
}

// rights reads the audit log. With Endpoints Patroni tries to make a Service
// that the manifests have, once per start, and takes no for an answer: the
// right to make Services is not worth that.
func (w *world) rights(context.Context) error {
	counts, err := asked(w.servers.path("audit.log"), w.servers.starts)
	if err != nil {
		return err
	}
	if len(counts) == 0 {
		return fmt.Errorf("the audit log has no request of Patroni's")
	}
	var all []string
	for what, n := range counts {
		all = append(all, fmt.Sprintf("%s: %d", what, n))
	}
	fmt.Fprintf(w.out, "%s: requests of Patroni: %s\n", w.Store, sorted(all))
	var tolerated []string
	if w.Store == "endpoints" {
		tolerated = []string{"create services"}
	}
	if no := refused(counts, tolerated...); len(no) > 0 {
		return fmt.Errorf("refused: %s", strings.Join(no, "; "))
	}
	return nil
}
