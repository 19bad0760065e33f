package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// servers are etcd, the API server and the controller manager.
type servers struct {
	dir  string
	ca   *authority
	etcd *server
	api  *server
	kcm  *server
	// starts are the times from the API server's start until it was ready.
	starts []span
}

// startAPI starts the API server and waits until it is ready.
func (s *servers) startAPI(ctx context.Context, ask func(context.Context) error) error {
	began := time.Now()
	if err := s.api.start(); err != nil {
		return err
	}
	if err := s.api.ready(ctx, ask); err != nil {
		return err
	}
	s.starts = append(s.starts, span{began, time.Now()})
	return nil
}

const (
	etcdURL = "http://127.0.0.1:2379"
	apiURL  = "https://" + gateway + ":443"
)

// controllers are those that this needs. The ones that look after nodes would
// miss the heartbeats of a kubelet.
var controllers = []string{
	"disruption-controller", "endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller",
	"garbage-collector-controller", "namespace-controller", "persistentvolume-binder-controller", "persistentvolumeclaim-protection-controller",
	"root-ca-certificate-publisher-controller", "serviceaccount-controller", "statefulset-controller",
}

// newServers writes certificates and settings. The audit log has every request
// of the service account.
func newServers(dir, programs, account string) (*servers, error) {
	s := &servers{dir: dir}
	var err error
	if s.ca, err = newAuthority(dir); err != nil {
		return nil, err
	}
	err = errors.Join(
		s.ca.server("apiserver", []string{"kubernetes.default.svc"}, gateway, apiAddress),
		s.ca.client("admin", "admin", "system:masters"),
		s.ca.client("kcm", "system:kube-controller-manager"),
		os.WriteFile(s.path("audit.yaml"), []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\n"+
			"rules:\n- {level: Metadata, users: [\""+account+"\"]}\n- {level: None}\n"), 0o600),
		os.WriteFile(s.path("kcm.yaml"), []byte(fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\n"+
			"clusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}]\nusers: [{name: u, user: {client-certificate: %q, client-key: %q}}]\n"+
			"contexts: [{name: c, context: {cluster: c, user: u}}]\n", apiURL, s.path("ca.crt"), s.path("kcm.crt"), s.path("kcm.key"))), 0o600),
	)
	s.etcd = &server{name: "etcd", log: s.path("etcd.log"), args: []string{"etcd", "--data-dir", s.path("etcd"),
		"--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL, "--listen-peer-urls", "http://127.0.0.1:2380",
		"--initial-advertise-peer-urls", "http://127.0.0.1:2380", "--initial-cluster", "default=http://127.0.0.1:2380"}}
	s.api = &server{name: "kube-apiserver", log: s.path("apiserver.log"), args: []string{filepath.Join(programs, "kube-apiserver"),
		"--etcd-servers=" + etcdURL, "--bind-address=0.0.0.0", "--secure-port=443", "--advertise-address=" + gateway,
		"--service-cluster-ip-range=" + serviceRange, "--authorization-mode=Node,RBAC", "--client-ca-file=" + s.path("ca.crt"),
		"--tls-cert-file=" + s.path("apiserver.crt"), "--tls-private-key-file=" + s.path("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + s.path("tokens.key"), "--service-account-key-file=" + s.path("tokens.pub"),
		"--enable-admission-plugins=NodeRestriction", "--audit-policy-file=" + s.path("audit.yaml"), "--audit-log-path=" + s.path("audit.log"),
		"--profiling=false"}}
	s.kcm = &server{name: "kube-controller-manager", log: s.path("kcm.log"), args: []string{filepath.Join(programs, "kube-controller-manager"),
		"--kubeconfig=" + s.path("kcm.yaml"), "--leader-elect=false", "--use-service-account-credentials=true",
		"--service-account-private-key-file=" + s.path("tokens.key"), "--root-ca-file=" + s.path("ca.crt"),
		"--bind-address=127.0.0.1", "--profiling=false", "--controllers=" + strings.Join(controllers, ",")}}
	return s, err
}

func (s *servers) path(name string) string { return filepath.Join(s.dir, name) }

// admin is how the cluster's administrator reaches the API.
func (s *servers) admin() *rest.Config {
	return &rest.Config{Host: apiURL, QPS: 200, Burst: 400, Timeout: 0, TLSClientConfig: rest.TLSClientConfig{
		CAFile: s.path("ca.crt"), CertFile: s.path("admin.crt"), KeyFile: s.path("admin.key")}}
}

// server is a program that can be killed and started again.
type server struct {
	name, log string
	args      []string
	cmd       *exec.Cmd
	ended     chan struct{}
}

func (s *server) start() error {
	log, err := os.OpenFile(s.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() {
		cmd.Wait()
		close(ended)
	}()
	return nil
}

// kill ends it by SIGKILL.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.ended
}

// ready waits until a server answers; an error has the end of its log.
func (s *server) ready(ctx context.Context, ask func(context.Context) error) error {
	return within(ctx, 2*time.Minute, s.name+" answers", func(ctx context.Context) error {
		select {
		case <-s.ended:
			return final{fmt.Errorf("%s ended: %s", s.name, tail(s.log))}
		default:
			return ask(ctx)
		}
	})
}

// tail is the end of a log.
func tail(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-4000):])
}

// final is an error after which trying again makes no sense.
type final struct{ error }

// within tries until it succeeds. Deadlines are generous: they only end what
// would go on for ever.
func within(ctx context.Context, limit time.Duration, what string, try func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	for {
		one, cancel := context.WithTimeout(ctx, 15*time.Second)
		err := try(one)
		cancel()
		var last final
		switch {
		case err == nil:
			return nil
		case errors.As(err, &last):
			return last.error
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Now().After(deadline):
			return fmt.Errorf("not within %s: %s: %w", limit, what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}
