package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/sys/unix"
)

// volume makes a volume of the pod and gives its folder.
func (p *pod) volume(ctx context.Context, object *corev1.Pod, name string) (string, error) {
	for _, v := range object.Spec.Volumes {
		if v.Name != name {
			continue
		}
		dir := filepath.Join(p.dir, "volumes", name)
		switch {
		case v.EmptyDir != nil:
			return dir, p.emptyDir(object, v.EmptyDir, dir)
		case v.PersistentVolumeClaim != nil:
			return p.claim(ctx, object, v.PersistentVolumeClaim.ClaimName)
		case v.Projected != nil:
			return dir, p.projected(ctx, object, v.Projected, dir)
		}
		return "", errors.New("its kind is not known here")
	}
	return "", errors.New("the pod does not say what it is")
}

func (p *pod) emptyDir(object *corev1.Pod, v *corev1.EmptyDirVolumeSource, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if v.Medium == corev1.StorageMediumMemory {
		options := "mode=0777"
		if v.SizeLimit != nil {
			options += fmt.Sprintf(",size=%d", v.SizeLimit.Value())
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
			return fmt.Errorf("mount tmpfs: %w", err)
		}
	}
	return group(dir, *object.Spec.SecurityContext.FSGroup, 0o777)
}

// group gives a folder to the group that a pod's volumes belong to, as
// kubelets do: what is made in it belongs to the group, too.
func group(dir string, gid int64, mode os.FileMode) error {
	return errors.Join(os.Chown(dir, 0, int(gid)), os.Chmod(dir, mode|os.ModeSetgid))
}

// claim waits until a claim is bound, and gives the folder of its volume.
func (p *pod) claim(ctx context.Context, object *corev1.Pod, name string) (string, error) {
	var dir string
	err := p.persist(ctx, "claim "+name, func(ctx context.Context) error {
		core := p.kubelet.cluster.CoreV1()
		claim, err := core.PersistentVolumeClaims(object.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if claim.Status.Phase != corev1.ClaimBound {
			return fmt.Errorf("its phase is %s", claim.Status.Phase)
		}
		volume, err := core.PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		dir = volume.Spec.HostPath.Path
		return nil
	})
	if err != nil {
		return "", err
	}
	// OnRootMismatch: what belongs to the group already is left alone.
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if info.Mode()&os.ModeSetgid != 0 {
		return dir, nil
	}
	return dir, group(dir, *object.Spec.SecurityContext.FSGroup, 0o775)
}

// projected writes what every pod with a service account gets: a token of its
// own, the authority of the API and its namespace.
func (p *pod) projected(ctx context.Context, object *corev1.Pod, v *corev1.ProjectedVolumeSource, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, source := range v.Sources {
		files, err := p.project(ctx, object, source)
		if err != nil {
			return err
		}
		for name, content := range files {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				return err
			}
			if err := os.Chown(path, int(*object.Spec.SecurityContext.RunAsUser), int(*object.Spec.SecurityContext.FSGroup)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pod) project(ctx context.Context, object *corev1.Pod, source corev1.VolumeProjection) (map[string]string, error) {
	files := map[string]string{}
	switch {
	case source.ServiceAccountToken != nil:
		t := source.ServiceAccountToken
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: t.ExpirationSeconds,
			BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.name, UID: p.uid},
		}}
		return files, p.persist(ctx, "token of pod "+p.name, func(ctx context.Context) error {
			got, err := p.kubelet.cluster.CoreV1().ServiceAccounts(object.Namespace).CreateToken(ctx, object.Spec.ServiceAccountName, request, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			files[t.Path] = got.Status.Token
			return nil
		})
	case source.ConfigMap != nil:
		return files, p.persist(ctx, "ConfigMap "+source.ConfigMap.Name, func(ctx context.Context) error {
			got, err := p.kubelet.cluster.CoreV1().ConfigMaps(object.Namespace).Get(ctx, source.ConfigMap.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, item := range source.ConfigMap.Items {
				files[item.Path] = got.Data[item.Key]
			}
			return nil
		})
	case source.DownwardAPI != nil:
		for _, item := range source.DownwardAPI.Items {
			if item.FieldRef == nil || item.FieldRef.FieldPath != "metadata.namespace" {
				return nil, errors.New("a field other than metadata.namespace is not known here")
			}
			files[item.Path] = object.Namespace
		}
		return files, nil
	}
	return nil, errors.New("its source is not known here")
}
