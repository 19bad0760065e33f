package deploy

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/shudl/shudl-assemble/recipes"
)

// defaultMembers is how many Patroni runs: with three, one may be lost and a
// leader still be followed. While they copy the leader at the same time, each
// follower takes two senders and two slots of the ten that the image gives it.
const defaultMembers, maxMembers = 3, 5

// patroni is one highly available PostgreSQL.
type patroni struct {
	Options
	image    *recipes.Image
	pull     string
	uid, gid int64
	// healthy is how long a start may take.
	healthy time.Duration
}

func (p patroni) objects() []any {
	objects := append(p.namespace(),
		&corev1.ServiceAccount{TypeMeta: kind("v1", "ServiceAccount"), ObjectMeta: p.meta(p.Name), AutomountServiceAccountToken: ptr(false)},
		p.role(),
		&rbacv1.RoleBinding{TypeMeta: kind("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: p.meta(p.Name),
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: p.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: p.Name, Namespace: p.Namespace}}},
	)
	objects = append(objects, p.services()...)
	return append(objects, p.statefulSet(), p.budget(), p.policy())
}

// own are labels of this tool. They differ from Patroni's pair, by which it
// lists ConfigMaps and Endpoints, and deletes them.
func (p patroni) own() map[string]string {
	return map[string]string{"app.kubernetes.io/name": "patroni", "app.kubernetes.io/instance": p.Name}
}

// cluster is Patroni's pair, which its pods carry.
func (p patroni) cluster(role string) map[string]string {
	labels := map[string]string{"application": "patroni", "cluster-name": p.Name}
	if role != "" {
		labels["role"] = role
	}
	return labels
}

func (p patroni) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: p.Namespace, Labels: p.own()}
}

// role holds what Patroni asks for and nothing else; create, list and watch
// cannot be bound to names. Each member's pod is named, so that more of them
// need more than a greater number of replicas.
func (p patroni) role() *rbacv1.Role {
	var pods []string
	for i := range p.Members {
		pods = append(pods, fmt.Sprintf("%s-%d", p.Name, i))
	}
	state := []string{p.Name + "-config", p.Name + "-leader", p.Name + "-sync", p.Name + "-failover"}
	if p.Store == "endpoints" {
		state[1] = p.Name
	}
	return &rbacv1.Role{TypeMeta: kind("rbac.authorization.k8s.io/v1", "Role"), ObjectMeta: p.meta(p.Name), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"patch"}, ResourceNames: pods},
		{APIGroups: []string{""}, Resources: []string{p.Store}, Verbs: []string{"list", "watch", "create"}},
		{APIGroups: []string{""}, Resources: []string{p.Store}, Verbs: []string{"get", "patch"}, ResourceNames: state},
	}}
}

func (p patroni) services() []any {
	port := []corev1.ServicePort{{Name: "postgresql", Port: 5432, TargetPort: intstr.FromString("postgresql")}}
	make := func(name string, spec corev1.ServiceSpec) any {
		return &corev1.Service{TypeMeta: kind("v1", "Service"), ObjectMeta: p.meta(name), Spec: spec}
	}
	leader := corev1.ServiceSpec{Ports: port, Selector: p.cluster("primary")}
	if p.Store == "endpoints" {
		leader.Selector = nil // Patroni writes the addresses itself
	}
	services := []any{
		make(p.Name+"-pods", corev1.ServiceSpec{Ports: port, Selector: p.cluster(""), ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true}),
		make(p.Name, leader),
		make(p.Name+"-repl", corev1.ServiceSpec{Ports: port, Selector: p.cluster("replica")}),
	}
	if p.Store == "endpoints" {
		// Endpoints without a Service of their name are deleted whenever the
		// controller manager starts.
		for _, suffix := range []string{"-config", "-sync", "-failover"} {
			services = append(services, make(p.Name+suffix, corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}))
		}
	}
	return services
}

func (p patroni) statefulSet() *appsv1.StatefulSet {
	pod := corev1.PodSpec{
		ServiceAccountName: p.Name, AutomountServiceAccountToken: ptr(true), EnableServiceLinks: ptr(false),
		SecurityContext: p.podContext(p.uid, p.gid), TerminationGracePeriodSeconds: ptr[int64](90),
		Containers: []corev1.Container{p.container()},
		Volumes: []corev1.Volume{
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: ptr(resource.MustParse("256Mi"))}}},
		},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: p.cluster("")}}}}}},
	}
	labels := p.cluster("")
	for name, value := range p.own() {
		labels[name] = value
	}
	return &appsv1.StatefulSet{TypeMeta: kind("apps/v1", "StatefulSet"), ObjectMeta: p.meta(p.Name), Spec: appsv1.StatefulSetSpec{
		Replicas: ptr(int32(p.Members)), ServiceName: p.Name + "-pods", PodManagementPolicy: appsv1.ParallelPodManagement,
		Selector:             &metav1.LabelSelector{MatchLabels: p.cluster("")},
		Template:             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: p.scraped()}, Spec: pod},
		VolumeClaimTemplates: p.claims("data", "10Gi"),
	}}
}

// scraped says to a Prometheus that may come in where the metrics are.
func (p patroni) scraped() map[string]string {
	if p.MetricsFrom == "" {
		return nil
	}
	return scrape(8008, "/metrics")
}

func (p patroni) container() corev1.Container {
	h := p.image.Config.Healthcheck
	retries := int32(h.Retries)
	c := corev1.Container{
		Name: "patroni", Image: p.pull, Env: p.environment(), SecurityContext: confined(),
		Ports:         []corev1.ContainerPort{{Name: "postgresql", ContainerPort: 5432}, {Name: "restapi", ContainerPort: 8008}},
		StartupProbe:  probe(h, "/liveness", "restapi", seconds(p.healthy)/seconds(h.Interval)+retries),
		LivenessProbe: probe(h, "/liveness", "restapi", retries), ReadinessProbe: probe(h, "/readiness", "restapi", retries),
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("512Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: p.image.Config.Volumes[0]}, {Name: "tmp", MountPath: "/tmp"}, {Name: "shm", MountPath: "/dev/shm"}},
	}
	// Readiness takes a dead leader out of its Service: twice as often.
	c.ReadinessProbe.PeriodSeconds = max(1, seconds(h.Interval/time.Duration(2)))
	return c
}

func (p patroni) environment() []corev1.EnvVar {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	env := []corev1.EnvVar{
		field("PATRONI_KUBERNETES_NAMESPACE", "metadata.namespace"),
		field("PATRONI_KUBERNETES_POD_IP", "status.podIP"),
		field("PATRONI_NAME", "metadata.name"),
		{Name: "PATRONI_SCOPE", Value: p.Name},
		{Name: "PATRONI_KUBERNETES_USE_ENDPOINTS", Value: fmt.Sprint(p.Store == "endpoints")},
		{Name: "PATRONI_RESTAPI_USERNAME", Value: "patroni"},
		{Name: "SHUDL_LOG_FORMAT", Value: "json"},
	}
	if p.Synchronous {
		env = append(env, corev1.EnvVar{Name: "PATRONI_SYNCHRONOUS_MODE", Value: "true"})
	}
	for _, s := range secretKeys() {
		env = append(env, corev1.EnvVar{Name: s.variable, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: p.Secret}, Key: s.key}}})
	}
	return env
}

// secretKey is a key of the Secret, and the variable that it becomes.
type secretKey struct{ key, variable string }

func secretKeys() []secretKey {
	return []secretKey{
		{"superuser-password", "PATRONI_SUPERUSER_PASSWORD"},
		{"replication-password", "PATRONI_REPLICATION_PASSWORD"},
		{"rewind-password", "PATRONI_REWIND_PASSWORD"},
		{"restapi-password", "PATRONI_RESTAPI_PASSWORD"},
	}
}

// secretNames lists the keys of the Secret.
func (p patroni) secretNames() []string {
	var keys []string
	for _, s := range secretKeys() {
		keys = append(keys, s.key)
	}
	return keys
}

func (p patroni) budget() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{TypeMeta: kind("policy/v1", "PodDisruptionBudget"), ObjectMeta: p.meta(p.Name),
		Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: p.cluster("")}}}
}

// policy lets clients in the namespace reach PostgreSQL, and members the REST
// API: in failsafe mode the leader asks the others there. A Prometheus reads
// its metrics, and what changes the cluster asks for a password.
func (p patroni) policy() *networkingv1.NetworkPolicy {
	port := func(name string) []networkingv1.NetworkPolicyPort {
		return []networkingv1.NetworkPolicyPort{{Protocol: ptr(corev1.ProtocolTCP), Port: ptr(intstr.FromString(name))}}
	}
	return &networkingv1.NetworkPolicy{TypeMeta: kind("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: p.meta(p.Name), Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: p.cluster("")}, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		Ingress: []networkingv1.NetworkPolicyIngressRule{
			{Ports: port("postgresql"), From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}},
			{Ports: port("restapi"), From: append([]networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: p.cluster("")}}}, p.prometheus()...)},
		},
	}}
}
