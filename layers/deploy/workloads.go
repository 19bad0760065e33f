package deploy

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// workloads are the objects of a stack without Patroni: a StatefulSet for each
// service that keeps data, a Deployment for each that keeps none, and a Job
// for each script.
type workloads struct {
	Options
	all []service
}

func (w workloads) objects() []any {
	objects := w.namespace()
	for _, s := range w.all {
		if s.beside != "" {
			continue
		}
		pod := w.pod(s)
		switch {
		case s.script != "":
			objects = append(objects, w.job(s, pod))
			continue // nobody connects to it
		case s.keeps != "":
			objects = append(objects, w.service(s), w.statefulSet(s, pod))
		default:
			objects = append(objects, w.service(s), w.deployment(s, pod))
		}
		objects = append(objects, w.policy(s))
	}
	return objects
}

func (w workloads) object(s service) string { return w.Name + "-" + s.name }

func (w workloads) labels(name string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": w.Name}
}

func (w workloads) meta(s service) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: w.object(s), Namespace: w.Namespace, Labels: w.labels(s.name)}
}

// inPod are a service and those beside it.
func (w workloads) inPod(s service) []service {
	pod := []service{s}
	for _, other := range w.all {
		if other.beside == s.name {
			pod = append(pod, other)
		}
	}
	return pod
}

func (w workloads) pod(s service) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: w.labels(s.name)}, Spec: corev1.PodSpec{
		// Variables such as SPARK_MASTER_PORT, which service links would make,
		// mean something else to Spark.
		EnableServiceLinks: ptr(false), AutomountServiceAccountToken: ptr(false),
		SecurityContext: w.podContext(s.uid, s.gid), TerminationGracePeriodSeconds: ptr(int64(seconds(s.grace))),
	}}
	for _, one := range w.inPod(s) {
		template.Spec.Containers = append(template.Spec.Containers, w.container(s, one))
		template.Spec.Volumes = append(template.Spec.Volumes, w.volumes(one)...)
		for _, p := range one.ports {
			if p.metrics != "" {
				template.Annotations = scrape(p.number, p.metrics)
			}
		}
	}
	return template
}

// scrape are the annotations by which a Prometheus commonly finds metrics, at
// /metrics where they name no path.
func scrape(port int32, path string) map[string]string {
	found := map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": fmt.Sprint(port)}
	if path != "/metrics" {
		found["prometheus.io/path"] = path
	}
	return found
}

// container writes a service as a container of the pod of another, or its own.
func (w workloads) container(pod, s service) corev1.Container {
	address := addresses(w.all, func(other service) string {
		if other.name == pod.name && s.name != pod.name {
			return "127.0.0.1"
		}
		return w.object(other)
	})
	c := corev1.Container{
		Name: s.name, Image: s.pull, Args: s.command(address), SecurityContext: confined(),
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(int64(max(100, s.cpu)), resource.DecimalSI), corev1.ResourceMemory: mebibytes(s.memory)},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: mebibytes(s.memory)},
		},
	}
	if !w.AnyUID && (s.uid != pod.uid || s.gid != pod.gid) {
		c.SecurityContext.RunAsUser, c.SecurityContext.RunAsGroup = ptr(s.uid), ptr(s.gid)
	}
	for _, v := range s.variables(address) {
		c.Env = append(c.Env, corev1.EnvVar{Name: v.Name, Value: v.Value})
	}
	c.Env = append(c.Env, s.fields()...)
	for _, p := range s.ports {
		if p.number != 0 {
			c.Ports = append(c.Ports, corev1.ContainerPort{Name: p.name, ContainerPort: p.number})
		}
	}
	s.mount(&c)
	s.probes(&c)
	return c
}

// fields are variables that only Kubernetes wants.
func (s service) fields() []corev1.EnvVar {
	var env []corev1.EnvVar
	if s.address != "" {
		// The name of a pod is no address.
		env = append(env, corev1.EnvVar{Name: s.address, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}})
	}
	if s.folder() != "" {
		env = append(env, corev1.EnvVar{Name: "PGDATA", Value: s.folder()})
	}
	if s.json && s.script == "" {
		env = append(env, corev1.EnvVar{Name: "SHUDL_LOG_FORMAT", Value: "json"})
	}
	return env
}

// folder is where a server keeps its data within the volume, whose root
// belongs to the cluster and may hold lost+found; "" where that does not
// disturb it.
func (s service) folder() string {
	if s.part.image == "postgresql" && s.keeps != "" {
		return s.image.Config.Volumes[0] + "/pgdata"
	}
	return ""
}

// mount gives a container its folders: data, what may be forgotten, passwords.
func (s service) mount(c *corev1.Container) {
	for i, path := range s.image.Config.Volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: s.volume(i), MountPath: path})
	}
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: s.name + "-tmp", MountPath: "/tmp"})
	if s.shm != 0 {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: s.name + "-shm", MountPath: "/dev/shm"})
	}
	if len(s.secrets) > 0 {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: s.name + "-secrets", MountPath: strings.TrimSuffix(secretsFolder, "/"), ReadOnly: true})
	}
}

// volumes are those that mount names, without the one of the data.
func (w workloads) volumes(s service) []corev1.Volume {
	empty := func(name string, of corev1.EmptyDirVolumeSource) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &of}}
	}
	var out []corev1.Volume
	if s.keeps == "" {
		for i := range s.image.Config.Volumes {
			out = append(out, empty(s.volume(i), corev1.EmptyDirVolumeSource{}))
		}
	}
	out = append(out, empty(s.name+"-tmp", corev1.EmptyDirVolumeSource{SizeLimit: ptr(mebibytes(s.tmp))}))
	if s.shm != 0 {
		out = append(out, empty(s.name+"-shm", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: ptr(mebibytes(s.shm))}))
	}
	if len(s.secrets) > 0 {
		from := &corev1.SecretVolumeSource{SecretName: w.Secret, DefaultMode: ptr[int32](0o440)}
		for _, one := range s.secrets {
			from.Items = append(from.Items, corev1.KeyToPath{Key: one.key, Path: one.key})
		}
		out = append(out, corev1.Volume{Name: s.name + "-secrets", VolumeSource: corev1.VolumeSource{Secret: from}})
	}
	return out
}

func (w workloads) statefulSet(s service, pod corev1.PodTemplateSpec) any {
	return &appsv1.StatefulSet{TypeMeta: kind("apps/v1", "StatefulSet"), ObjectMeta: w.meta(s), Spec: appsv1.StatefulSetSpec{
		Replicas: ptr[int32](1), ServiceName: w.object(s), Selector: &metav1.LabelSelector{MatchLabels: w.labels(s.name)}, Template: pod,
		VolumeClaimTemplates: w.claims(s.volume(0), s.keeps),
	}}
}

func (w workloads) deployment(s service, pod corev1.PodTemplateSpec) any {
	return &appsv1.Deployment{TypeMeta: kind("apps/v1", "Deployment"), ObjectMeta: w.meta(s), Spec: appsv1.DeploymentSpec{
		// Two coordinators or two masters at once would share the work of one.
		Replicas: ptr[int32](1), Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		Selector: &metav1.LabelSelector{MatchLabels: w.labels(s.name)}, Template: pod,
	}}
}

// job runs a script. A Job cannot be changed, so that its name changes with
// what it does: another image is another Job.
func (w workloads) job(s service, pod corev1.PodTemplateSpec) any {
	pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	raw, _ := json.Marshal(pod) // of the types of Kubernetes, which can be written
	meta := w.meta(s)
	meta.Name = fmt.Sprintf("%s-%x", meta.Name, sha256.Sum256(raw))[:len(meta.Name)+9]
	return &batchv1.Job{TypeMeta: kind("batch/v1", "Job"), ObjectMeta: meta, Spec: batchv1.JobSpec{
		BackoffLimit: ptr[int32](10), TTLSecondsAfterFinished: ptr[int32](24 * 60 * 60), Template: pod,
	}}
}

func (w workloads) service(s service) any {
	spec := corev1.ServiceSpec{Selector: w.labels(s.name)}
	for _, one := range w.inPod(s) {
		for _, p := range one.ports {
			if p.number != 0 {
				spec.Ports = append(spec.Ports, corev1.ServicePort{Name: p.name, Port: p.number, TargetPort: intstr.FromString(p.name)})
			}
		}
	}
	return &corev1.Service{TypeMeta: kind("v1", "Service"), ObjectMeta: w.meta(s), Spec: spec}
}

// policy lets those in who have business with a service.
func (w workloads) policy(s service) any {
	spec := networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: w.labels(s.name)}, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}
	for _, one := range w.inPod(s) {
		for _, p := range one.ports {
			rule := networkingv1.NetworkPolicyIngressRule{From: w.peers(p)}
			if p.number != 0 {
				rule.Ports = []networkingv1.NetworkPolicyPort{{Protocol: ptr(corev1.ProtocolTCP), Port: ptr(intstr.FromInt32(p.number))}}
			}
			spec.Ingress = append(spec.Ingress, rule)
		}
	}
	return &networkingv1.NetworkPolicy{TypeMeta: kind("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: w.meta(s), Spec: spec}
}

func (w workloads) peers(p port) []networkingv1.NetworkPolicyPeer {
	if p.metrics != "" {
		return []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}
	}
	var peers []networkingv1.NetworkPolicyPeer
	if len(p.from) == 0 {
		peers = append(peers, networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}})
	}
	for _, name := range p.from {
		peers = append(peers, networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: w.labels(find(w.all, name).name)}})
	}
	if p.measured {
		peers = append(peers, w.prometheus()...)
	}
	return peers
}

// prometheus is whoever reads metrics from another namespace; nobody where none
// is named.
func (o Options) prometheus() []networkingv1.NetworkPolicyPeer {
	if o.MetricsFrom == "" {
		return nil
	}
	return []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: o.MetricsFrom}}}}
}

func mebibytes(n int) resource.Quantity {
	return *resource.NewQuantity(int64(n)<<20, resource.BinarySI)
}
