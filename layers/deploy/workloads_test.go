package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/shudl/shudl-assemble/recipes"
)

// applied are the objects of a stack, read strictly.
type applied struct {
	pods     map[string]corev1.PodTemplateSpec
	claims   map[string][]corev1.PersistentVolumeClaim
	services []corev1.Service
	policies []networkingv1.NetworkPolicy
}

func apply(t *testing.T, text []byte) applied {
	t.Helper()
	a := applied{pods: map[string]corev1.PodTemplateSpec{}, claims: map[string][]corev1.PersistentVolumeClaim{}}
	read := func(doc string, into any) {
		if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
	}
	for _, doc := range strings.Split(string(text), "---\n") {
		var head struct{ Kind string }
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatal(err)
		}
		switch head.Kind {
		case "ServiceAccount", "Role", "RoleBinding", "PodDisruptionBudget": // of ha
		case "Service":
			var o corev1.Service
			read(doc, &o)
			a.services = append(a.services, o)
		case "NetworkPolicy":
			var o networkingv1.NetworkPolicy
			read(doc, &o)
			a.policies = append(a.policies, o)
		case "StatefulSet":
			var o appsv1.StatefulSet
			read(doc, &o)
			a.pods[o.Name], a.claims[o.Name] = o.Spec.Template, o.Spec.VolumeClaimTemplates
		case "Deployment":
			var o appsv1.Deployment
			read(doc, &o)
			a.pods[o.Name] = o.Spec.Template
		case "Job":
			var o batchv1.Job
			read(doc, &o)
			a.pods[o.Name] = o.Spec.Template
		default:
			t.Fatalf("an object of kind %q", head.Kind)
		}
	}
	return a
}

func TestWorkloads(t *testing.T) {
	o := published(t)
	for stack, pods := range map[string]int{StackStandalone: 2, StackLakehouse: 8} {
		for _, d := range recipes.Distros() {
			o := o
			o.Stack, o.Distro = stack, d
			made, err := Kubernetes(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if d == recipes.Debian {
				golden(t, stack+".yaml", made.Text)
			}
			a := apply(t, made.Text)
			if len(a.pods) != pods {
				t.Errorf("%s has %d pods, want %d", stack, len(a.pods), pods)
			}
			for name, pod := range a.pods {
				a.holdPod(t, name, pod, made.Notes)
			}
			a.holdNetwork(t)
		}
	}
}

// holdPod holds a pod to what is promised of each.
func (a applied) holdPod(t *testing.T, name string, pod corev1.PodTemplateSpec, notes string) {
	t.Helper()
	in := pod.Spec.SecurityContext
	if !*in.RunAsNonRoot || *in.RunAsUser == 0 || in.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || *pod.Spec.AutomountServiceAccountToken || *pod.Spec.EnableServiceLinks {
		t.Errorf("%s: it has rights that it does not need", name)
	}
	var known []string
	for _, c := range a.claims[name] {
		known = append(known, c.Name)
	}
	for _, v := range pod.Spec.Volumes {
		known = append(known, v.Name)
		if v.Secret != nil {
			for _, item := range v.Secret.Items {
				if !strings.Contains(notes, " "+item.Key) {
					t.Errorf("%s: the notes do not make the key %s", name, item.Key)
				}
			}
		}
	}
	for _, c := range pod.Spec.Containers {
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: %s has rights that it does not need", name, c.Name)
		}
		if c.Resources.Limits.Memory().IsZero() || !strings.Contains(c.Image, "@sha256:") {
			t.Errorf("%s: %s has no limit, or its image is no digest: %s", name, c.Name, c.Image)
		}
		for _, m := range c.VolumeMounts {
			if !slices.Contains(known, m.Name) {
				t.Errorf("%s: %s mounts %s, which the pod has not", name, c.Name, m.Name)
			}
		}
		for _, e := range c.Env {
			if strings.ContainsAny(e.Value, "{}") {
				t.Errorf("%s: %s=%s is no value", name, e.Name, e.Value)
			}
		}
		once, sidecar := pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure, c.Name == "exporter"
		if started, ready := c.StartupProbe != nil, c.ReadinessProbe != nil; started == once || ready == (once || sidecar) {
			t.Errorf("%s: %s has probes: %t, %t", name, c.Name, started, ready)
		}
	}
}

// holdNetwork finds a pod for every service and policy, a port for every port
// of a service, and for every address in a pod the service that it names.
func (a applied) holdNetwork(t *testing.T) {
	t.Helper()
	known := map[string]bool{}
	for _, s := range a.services {
		var open []string
		for _, pod := range a.pods {
			if labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)) {
				for _, c := range pod.Spec.Containers {
					for _, p := range c.Ports {
						open = append(open, p.Name)
					}
				}
			}
		}
		for _, p := range s.Spec.Ports {
			known[fmt.Sprintf("%s:%d", s.Name, p.Port)] = true
			if !slices.Contains(open, p.TargetPort.StrVal) {
				t.Errorf("service %s: no pod has port %s", s.Name, p.TargetPort.StrVal)
			}
		}
	}
	matches := func(selector map[string]string) bool {
		for _, pod := range a.pods {
			if labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
				return true
			}
		}
		return false
	}
	for _, p := range a.policies {
		if !matches(p.Spec.PodSelector.MatchLabels) {
			t.Errorf("policy %s selects no pod", p.Name)
		}
		for _, rule := range p.Spec.Ingress {
			for _, from := range rule.From {
				if from.PodSelector != nil && !matches(from.PodSelector.MatchLabels) {
					t.Errorf("policy %s lets in nobody: %v", p.Name, from.PodSelector.MatchLabels)
				}
			}
		}
	}
	for name, pod := range a.pods {
		for _, c := range pod.Spec.Containers {
			for _, e := range c.Env {
				if i := strings.Index(e.Value, "lakehouse-"); i >= 0 {
					host, _, _ := strings.Cut(e.Value[i:], "/")
					if !known[host] {
						t.Errorf("%s: %s=%s names no service and port", name, e.Name, e.Value)
					}
				}
			}
		}
	}
}

// Who deletes the manifests of a namespace that others use, too, deletes none
// of what is theirs, nor the namespace.
func TestDeletedAlone(t *testing.T) {
	o := published(t)
	o.Namespace = "production"
	for _, stack := range Stacks() {
		o.Stack = stack
		made, err := Kubernetes(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range strings.Split(string(made.Text), "---\n") {
			var one metav1.PartialObjectMetadata
			if err := yaml.Unmarshal([]byte(doc), &one); err != nil {
				t.Fatal(err)
			}
			if one.Namespace != "production" || !strings.HasPrefix(one.Name, "lakehouse-") {
				t.Errorf("%s has %s %s in namespace %q", stack, one.Kind, one.Name, one.Namespace)
			}
		}
		if !strings.Contains(made.Notes, "kubectl create namespace production && kubectl label namespace production pod-security.kubernetes.io/enforce=restricted\n") {
			t.Errorf("%s: the notes do not make the namespace:\n%s", stack, made.Notes)
		}
	}
}

// What is slow to start has the time that its contract gives it.
func TestTimeToStart(t *testing.T) {
	o := published(t)
	for _, stack := range Stacks() {
		o.Stack = stack
		probes := 0
		for name, pod := range apply(t, ha(t, o)).pods {
			for _, c := range pod.Spec.Containers {
				if c.StartupProbe == nil {
					continue
				}
				probes++
				image := c.Image[strings.LastIndex(c.Image, "/")+1 : strings.Index(c.Image, "@")]
				held, err := o.Set.Contract(recipes.Ref{Name: image, Stream: defaultStream(t, o, image)}, o.Distro, o.Platform)
				if err != nil {
					t.Fatal(err)
				}
				if has := time.Duration(c.StartupProbe.PeriodSeconds*c.StartupProbe.FailureThreshold) * time.Second; has < held.Healthy {
					t.Errorf("%s: %s has %s to start, its contract %s", name, c.Name, has, held.Healthy)
				}
			}
		}
		if want := map[string]int{StackHA: 1, StackStandalone: 2, StackLakehouse: 7}[stack]; probes != want {
			t.Errorf("%s has %d startup probes, want %d", stack, probes, want)
		}
	}
}

func defaultStream(t *testing.T, o Options, name string) string {
	t.Helper()
	image, err := o.Set.Image(recipes.Ref{Name: name}, o.Distro, o.Platform)
	if err != nil {
		t.Fatal(err)
	}
	return image.Ref.Stream
}

// A platform that assigns users finds none named, and an image that needs its
// own is refused.
func TestAnyUID(t *testing.T) {
	o := published(t)
	o.AnyUID = true
	for _, stack := range Stacks() {
		o.Stack = stack
		for name, pod := range apply(t, ha(t, o)).pods {
			in := pod.Spec.SecurityContext
			if in.RunAsUser != nil || in.RunAsGroup != nil || in.FSGroup != nil || !*in.RunAsNonRoot {
				t.Errorf("%s: %+v", name, in)
			}
			for _, c := range pod.Spec.Containers {
				if c.SecurityContext.RunAsUser != nil || c.SecurityContext.RunAsGroup != nil {
					t.Errorf("%s: %s names a user", name, c.Name)
				}
			}
		}
	}
	for user, want := range map[string]bool{"": false, "999:999": false, "0:0": false, "4711:0": true} {
		c := &recipes.Contract{User: "999:999", Cases: []recipes.Case{{Containers: []recipes.Container{{User: user}}}}}
		if anyUser(c) != want {
			t.Errorf("a contract that runs its image as %q shows that it can: %t", user, !want)
		}
	}
}

// A Prometheus that is named comes in to MinIO, and to no port of others.
func TestMetricsOfALakehouse(t *testing.T) {
	o := published(t)
	o.Stack, o.MetricsFrom = StackLakehouse, "monitoring"
	made, err := Kubernetes(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	a := apply(t, made.Text)
	if len(a.policies) != 6 {
		t.Errorf("%d policies", len(a.policies))
	}
	for _, policy := range a.policies {
		holdMetrics(t, policy, map[string]bool{"9000": true})
	}
}

// A Job cannot be changed: with another image it is another one.
func TestJobOfAnotherImage(t *testing.T) {
	o := published(t)
	o.Stack = StackStandalone
	names := func(registry string) []string {
		o.Registry = registry
		made, err := Kubernetes(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name, pod := range apply(t, made.Text).pods {
			if pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure {
				names = append(names, name)
			}
		}
		return names
	}
	if one, two := names("registry.example/a"), names("registry.example/b"); len(one) != 1 || len(two) != 1 || one[0] == two[0] {
		t.Errorf("jobs %v and %v", one, two)
	}
}
