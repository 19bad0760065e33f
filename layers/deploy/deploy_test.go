package deploy

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

var update = flag.Bool("update", false, "write the golden manifests anew")

// published puts a manifest under the tags of every image into a layout.
func published(t *testing.T) Options {
	t.Helper()
	dest, err := publish.ParseDestination("oci:"+t.TempDir(), publish.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := recipes.Open("")
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
	m := publish.Manifest{MediaType: ocispec.MediaTypeImageIndex, Raw: raw}
	if m.Digest() != digest.FromBytes(raw) {
		t.Fatal("a manifest's digest is not that of its bytes")
	}
	for _, name := range []string{"patroni", "postgresql", "postgres-exporter", "minio", "nessie", "trino", "spark"} {
		repo, err := dest.Repository(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.PutManifest(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		var tags []string
		for _, d := range recipes.Distros() {
			image, err := set.Image(recipes.Ref{Name: name}, d, recipes.LinuxAMD64)
			if err != nil {
				t.Fatal(err)
			}
			tags = append(tags, image.Tags("version", "id")[2])
		}
		if err := repo.Tag(context.Background(), m, tags); err != nil {
			t.Fatal(err)
		}
	}
	return Options{Set: set, Distro: recipes.Debian, Platform: recipes.LinuxAMD64, From: dest, Registry: "registry.example/shudl"}
}

// golden holds what is written to a file of testdata.
func golden(t *testing.T, name string, have []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what is written: go test ./layers/deploy -update\n%s", path, have)
	}
}

func TestManifests(t *testing.T) {
	o := published(t)
	for _, one := range []struct {
		file, store string
		distro      recipes.Distro
	}{{"configmaps.yaml", "configmaps", recipes.Debian}, {"endpoints.yaml", "endpoints", recipes.Alpine}} {
		o := o
		o.Store, o.Distro = one.store, one.distro
		have := ha(t, o)
		golden(t, one.file, have)
		decode(t, have, "Namespace")
	}
}

// ha are the manifests of that stack, as text.
func ha(t *testing.T, o Options) []byte {
	t.Helper()
	made, err := Kubernetes(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return made.Text
}

// decode reads every object strictly into the type that Kubernetes has for it.
// All kinds are there, but these.
func decode(t *testing.T, text []byte, without ...string) {
	t.Helper()
	types := map[string]func() any{
		"Namespace": func() any { return &corev1.Namespace{} }, "ServiceAccount": func() any { return &corev1.ServiceAccount{} },
		"Service": func() any { return &corev1.Service{} }, "Role": func() any { return &rbacv1.Role{} },
		"RoleBinding": func() any { return &rbacv1.RoleBinding{} }, "StatefulSet": func() any { return &appsv1.StatefulSet{} },
		"PodDisruptionBudget": func() any { return &policyv1.PodDisruptionBudget{} }, "NetworkPolicy": func() any { return &networkingv1.NetworkPolicy{} },
	}
	seen := map[string]bool{}
	for _, doc := range strings.Split(string(text), "---\n") {
		var head struct{ Kind string }
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatal(err)
		}
		make := types[head.Kind]
		if make == nil {
			t.Fatalf("an object of kind %q", head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), make()); err != nil {
			t.Errorf("%s: %v", head.Kind, err)
		}
		seen[head.Kind] = true
	}
	for name := range types {
		if seen[name] == slices.Contains(without, name) {
			t.Errorf("an object of kind %s: %t", name, seen[name])
		}
	}
}

// What the options add, and that nothing else changes.
func TestOptionsOfHA(t *testing.T) {
	o := published(t)
	plain := ha(t, o)
	o.Synchronous, o.MetricsFrom, o.CreateNamespace, o.StorageClass = true, "monitoring", true, "fast.ssd"
	have := ha(t, o)
	decode(t, have)
	without := string(have)
	for _, added := range []string{`apiVersion: v1
kind: Namespace
metadata:
  labels:
    pod-security.kubernetes.io/enforce: restricted
  name: lakehouse
spec: {}
---
`, `
      storageClassName: fast.ssd`, `
        - name: PATRONI_SYNCHRONOUS_MODE
          value: "true"`, `
      annotations:
        prometheus.io/port: "8008"
        prometheus.io/scrape: "true"`, `
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: monitoring`} {
		if strings.Count(without, added) != 1 {
			t.Errorf("not there once:%s", added)
		}
		without = strings.Replace(without, added, "", 1)
	}
	if without != string(plain) {
		t.Errorf("more than what was asked for has changed:\n%s", have)
	}
	for _, policy := range policies(t, have) {
		holdMetrics(t, policy, map[string]bool{"restapi": true})
	}
}

// TestMembers has the rights name every pod that there is.
func TestMembers(t *testing.T) {
	o := published(t)
	o.Members = 5
	var role rbacv1.Role
	var set appsv1.StatefulSet
	for _, doc := range strings.Split(string(ha(t, o)), "---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil {
			t.Fatal(err)
		}
		to := map[string]any{"Role": &role, "StatefulSet": &set}[kind.Kind]
		if to == nil {
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(doc), to); err != nil {
			t.Fatal(err)
		}
	}
	if n := set.Spec.Replicas; n == nil || *n != 5 {
		t.Errorf("replicas: %v", n)
	}
	var patched []string
	for _, rule := range role.Rules {
		if slices.Contains(rule.Resources, "pods") && slices.Contains(rule.Verbs, "patch") {
			patched = append(patched, rule.ResourceNames...)
		}
	}
	if diff := cmp.Diff([]string{"lakehouse-pg-0", "lakehouse-pg-1", "lakehouse-pg-2", "lakehouse-pg-3", "lakehouse-pg-4"}, patched); diff != "" {
		t.Error(diff)
	}
}

func policies(t *testing.T, text []byte) []networkingv1.NetworkPolicy {
	t.Helper()
	var all []networkingv1.NetworkPolicy
	for _, doc := range strings.Split(string(text), "---\n") {
		var one networkingv1.NetworkPolicy
		if err := yaml.Unmarshal([]byte(doc), &one); err != nil {
			t.Fatal(err)
		}
		if one.Kind == "NetworkPolicy" {
			all = append(all, one)
		}
	}
	return all
}

// holdMetrics holds a policy to letting the namespace monitoring in to these
// ports, and to no other.
func holdMetrics(t *testing.T, policy networkingv1.NetworkPolicy, open map[string]bool) {
	t.Helper()
	for _, rule := range policy.Spec.Ingress {
		lets := slices.ContainsFunc(rule.From, func(p networkingv1.NetworkPolicyPeer) bool {
			return p.NamespaceSelector != nil && p.PodSelector == nil && p.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] == "monitoring"
		})
		var name string
		if len(rule.Ports) > 0 {
			name = rule.Ports[0].Port.String()
		}
		if lets != open[name] {
			t.Errorf("policy %s, port %s: monitoring may come in: %t", policy.Name, name, lets)
		}
	}
}

func TestMistakes(t *testing.T) {
	o := published(t)
	for flag, change := range map[string]func(*Options){
		"registry":  func(o *Options) { o.Registry = "" },
		"namespace": func(o *Options) { o.Namespace = "Upper" },
		"name":      func(o *Options) { o.Name = strings.Repeat("a", 41) },
		"secret":    func(o *Options) { o.Secret = "a_b" },
		"dcs":       func(o *Options) { o.Store = "etcd" },

		"metrics-from":  func(o *Options) { o.MetricsFrom = "a.b" },
		"storage-class": func(o *Options) { o.StorageClass = "Fast SSD" },
		"synchronous":   func(o *Options) { o.Synchronous, o.Stack = true, StackLakehouse },
		"members":       func(o *Options) { o.Members, o.Stack = 3, StackStandalone },
	} {
		o := o
		change(&o)
		var wrong *OptionError
		if _, err := Kubernetes(context.Background(), o); !errors.As(err, &wrong) || wrong.Flag != flag {
			t.Errorf("--%s: %v", flag, err)
		}
	}
	for _, n := range []int{-1, 1, 6} {
		o := o
		o.Members = n
		var wrong *OptionError
		if _, err := Kubernetes(context.Background(), o); !errors.As(err, &wrong) || wrong.Flag != "members" {
			t.Errorf("--members %d: %v", n, err)
		}
	}
	// The user may not have chosen it, and Kubernetes takes it.
	for _, name := range []string{"2026-analytics", strings.Repeat("n", 63)} {
		o := o
		o.Namespace = name
		if _, err := Kubernetes(context.Background(), o); err != nil {
			t.Errorf("--namespace %s: %v", name, err)
		}
	}
	o.From, _ = publish.ParseDestination("oci:"+t.TempDir(), publish.RegistryOptions{})
	if _, err := Kubernetes(context.Background(), o); err == nil || !strings.Contains(err.Error(), "shudl-assemble push patroni --distro debian --to oci:") {
		t.Errorf("an image that is not published: %v", err)
	}
}
