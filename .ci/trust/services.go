package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

// The servers have a network namespace to themselves, so that ports are
// fixed.
const (
	issuerURL = "http://127.0.0.1:8101"
	fulcioURL = "http://127.0.0.1:8102"
	rekorURL  = "http://127.0.0.1:8103"
	tsaURL    = "http://127.0.0.1:8104"
	// referrersRegistry has the referrers API, plainRegistry has not.
	referrersRegistry = "127.0.0.1:8105"
	plainRegistry     = "127.0.0.1:8106"
)

// services is a Sigstore of one's own, with two registries.
type services struct {
	dir, bin string // state and logs; the built servers
	issuer   *issuer
	stops    []func()
}

// start brings all servers up; stop ends them.
func start(ctx context.Context, dir, bin string) (*services, error) {
	s := &services{dir: dir, bin: bin}
	if err := s.start(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *services) stop() {
	for _, stop := range s.stops {
		stop()
	}
}

func (s *services) start(ctx context.Context) error {
	var err error
	if s.issuer, err = newIssuer(issuerURL); err != nil {
		return err
	}
	if err := s.serve(issuerURL, s.issuer); err != nil {
		return err
	}
	if err := s.serve("http://"+referrersRegistry, ociserver.New(ocimem.New(), nil)); err != nil {
		return err
	}
	fulcioConfig, err := s.issuer.fulcioConfig()
	if err != nil {
		return err
	}
	signer, err := s.rekorKey()
	if err != nil {
		return err
	}
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: %q}\n", s.path("registry"), plainRegistry)
	for name, content := range map[string][]byte{"fulcio.json": fulcioConfig, "rekor.pem": signer, "registry.yml": []byte(config)} {
		if err := os.WriteFile(s.path(name), content, 0o644); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		ready string
		args  []string
	}{
		{fulcioURL + "/healthz", []string{s.tool("fulcio"), "serve", "--ca=ephemeralca", "--ct-log-url=", "--config-path=" + s.path("fulcio.json"),
			"--host=127.0.0.1", "--port=8102", "--grpc-host=127.0.0.1", "--grpc-port=8112", "--metrics-port=8122",
			"--legacy-unix-domain-socket=" + s.path("fulcio.sock")}},
		{rekorURL + "/healthz", []string{s.tool("rekor-server"), "serve", "--storage-dir=" + s.path("rekor"), "--signer-filepath=" + s.path("rekor.pem"),
			"--hostname=127.0.0.1", "--http-port=8103", "--grpc-port=8113", "--http-metrics-port=8123",
			"--checkpoint-interval=200ms", "--batch-max-age=50ms"}},
		{tsaURL + "/ping", []string{s.tool("timestamp-server"), "serve", "--host=127.0.0.1", "--port=8104",
			"--timestamp-signer=memory", "--disable-ntp-monitoring"}},
		{"http://" + plainRegistry + "/v2/", []string{"docker-registry", "serve", s.path("registry.yml")}},
	} {
		if err := s.launch(ctx, c.ready, c.args); err != nil {
			return err
		}
	}
	return s.trust(ctx)
}

func (s *services) path(name string) string { return filepath.Join(s.dir, name) }
func (s *services) tool(name string) string { return filepath.Join(s.bin, name) }

// serve answers in this process.
func (s *services) serve(url string, handler http.Handler) error {
	listener, err := net.Listen("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	s.stops = append(s.stops, func() { server.Close() })
	return nil
}

// launch starts a server and waits until it answers.
func (s *services) launch(ctx context.Context, ready string, args []string) error {
	name := filepath.Base(args[0])
	log, err := os.Create(s.path(name + ".log"))
	if err != nil {
		return err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// A server does not outlive this process, however it ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		log.Close()
		close(ended)
	}()
	s.stops = append(s.stops, func() {
		cmd.Process.Kill()
		<-ended
	})
	for range 600 {
		if resp, err := http.Get(ready); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s ended: %.2000s", name, said)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not answer at %s; its log is %s", name, ready, log.Name())
}

// rekorKey makes the log's key and writes its public half; it returns the
// private one in PEM.
func (s *services) rekorKey() ([]byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.path("rekor.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	if der, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// trust asks the servers for their certificates and has cosign write what
// clients sign and verify with: trusted_root.json; signing_config.json;
// signing_config_tsa.json, without the log; and key_root.json, which names no
// service and is for keys.
func (s *services) trust(ctx context.Context) error {
	chains, err := fulcioChain(ctx)
	if err != nil {
		return err
	}
	stamps, err := get(ctx, tsaURL+"/api/v1/timestamp/certchain")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"fulcio.crt": chains, "tsa.crt": stamps} {
		if err := os.WriteFile(s.path(name), content, 0o644); err != nil {
			return err
		}
	}
	since := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	service := func(url string, version int) string {
		return fmt.Sprintf("url=%s,api-version=%d,start-time=%s,operator=ci", url, version, since)
	}
	tsaOnly := []string{"signing-config", "create", "--fulcio", service(fulcioURL, 1),
		"--tsa", service(tsaURL+"/api/v1/timestamp", 1), "--tsa-config", "ANY"}
	for _, args := range [][]string{
		{"trusted-root", "create", "--fulcio", "url=" + fulcioURL + ",certificate-chain=" + s.path("fulcio.crt"),
			"--tsa", "url=" + tsaURL + ",certificate-chain=" + s.path("tsa.crt"),
			"--rekor", "url=" + rekorURL + ",public-key=" + s.path("rekor.pub") + ",start-time=" + since + ",origin=127.0.0.1",
			"--out", s.path("trusted_root.json")},
		{"trusted-root", "create", "--out", s.path("key_root.json")},
		append(tsaOnly[:len(tsaOnly):len(tsaOnly)], "--out", s.path("signing_config_tsa.json")),
		append(tsaOnly[:len(tsaOnly):len(tsaOnly)], "--rekor", service(rekorURL, 2), "--rekor-config", "ANY", "--out", s.path("signing_config.json")),
	} {
		if out, err := exec.CommandContext(ctx, s.tool("cosign3"), args...).CombinedOutput(); err != nil {
			return fmt.Errorf("cosign3 %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// fulcioChain is Fulcio's certificates in PEM, leaf first.
func fulcioChain(ctx context.Context) ([]byte, error) {
	raw, err := get(ctx, fulcioURL+"/api/v2/trustBundle")
	if err != nil {
		return nil, err
	}
	var bundle struct {
		Chains []struct {
			Certificates []string `json:"certificates"`
		} `json:"chains"`
	}
	if err := json.Unmarshal(raw, &bundle); err != nil {
		return nil, fmt.Errorf("trust bundle of Fulcio: %w", err)
	}
	if len(bundle.Chains) == 0 {
		return nil, errors.New("trust bundle of Fulcio has no chain")
	}
	return []byte(strings.Join(bundle.Chains[0].Certificates, "")), nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.300s", url, resp.Status, body)
	}
	return body, nil
}
