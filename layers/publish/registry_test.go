package publish_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// place is a destination to test with.
type place struct {
	name string
	dest publish.Destination
}

// everywhere is a fresh destination of each kind.
func everywhere(t *testing.T) []place {
	t.Helper()
	places := []place{{"layout", destination(t, "oci:"+t.TempDir())}}
	for name, start := range registries() {
		host := start(t)
		if host == "" {
			t.Logf("docker-registry is not installed: %s is left out", name)
			continue
		}
		places = append(places, place{name, destination(t, host+"/shudl/images")})
	}
	return places
}

// registries start servers of three implementations; each stops with the
// test.
func registries() map[string]func(t *testing.T) string {
	return map[string]func(t *testing.T) string{
		"ggcr": func(t *testing.T) string { return serve(t, registry.New(registry.Logger(log.New(io.Discard, "", 0)))) },
		"ocimem": func(t *testing.T) string {
			return serve(t, ociserver.New(ocimem.New(), nil))
		},
		"docker-registry": dockerRegistry,
	}
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// inMemory is a folder in memory, where the machine has one: docker-registry
// waits for the disk at every blob, which says nothing about us.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "docker-registry")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// dockerRegistry starts Debian's docker-registry on a free port, or returns
// "" where it is not installed.
func dockerRegistry(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("docker-registry")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("docker-registry is not installed, and CI must have it")
		}
		return ""
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir := inMemory(t)
	config := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
http: {addr: %s}
`, filepath.Join(dir, "data"), address)
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve", file)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 200 {
		resp, err := http.Get("http://" + address + "/v2/")
		if err == nil {
			resp.Body.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("docker-registry does not answer: %s", &output)
	return ""
}

func TestRegistries(t *testing.T) {
	both := []recipes.Platform{recipes.LinuxAMD64, recipes.LinuxARM64}
	for name, start := range registries() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			if host == "" {
				t.Skip("docker-registry is not installed")
			}
			front := inject(t, host)
			dest := destination(t, serve(t, front)+"/shudl")
			if !dest.Local() {
				t.Errorf("%s is on this machine", dest)
			}
			if err := dest.Check(t.Context(), []string{"postgresql"}); err != nil {
				t.Fatal(err)
			}
			store, key := t.TempDir(), attesttest.NewKey(t)
			for _, release := range []publish.Release{postgresql().release(t, store), postgresql().release(t, store, both...)} {
				release.Fixed = ""
				front.disarm()
				first := mustPublish(t, dest, release, publish.Options{Signer: key, Merge: true})
				if len(front.written()) == 0 {
					t.Error("nothing was written")
				}
				front.disarm()
				second := mustPublish(t, destination(t, dest.String()), release, publish.Options{Signer: key, Merge: true})
				if again := front.written(); len(again) != 0 {
					t.Errorf("the second push wrote %d times: %v", len(again), again)
				}
				if second.Digest != first.Digest {
					t.Errorf("digests %s, %s", first.Digest, second.Digest)
				}
			}
		})
	}
}

func TestAnotherKeyAddsItsSignature(t *testing.T) {
	for _, where := range everywhere(t) {
		t.Run(where.name, func(t *testing.T) {
			store, one, two := t.TempDir(), attesttest.NewKey(t), attesttest.NewKey(t)
			release := postgresql().release(t, store)
			mustPublish(t, where.dest, release, publish.Options{Signer: one})
			mustPublish(t, where.dest, release, publish.Options{Signer: two})
			again := mustPublish(t, where.dest, release, publish.Options{Signer: one})
			if again.Blobs+again.Manifests != 0 {
				t.Errorf("third push wrote: %+v", again)
			}
			repo, _ := where.dest.Repository("postgresql")
			if !complete(t, repo, "latest", one) || !complete(t, repo, "latest", two) {
				t.Error("no tag")
			}
		})
	}
}

func TestMountFromSibling(t *testing.T) {
	for _, name := range []string{"ocimem", "docker-registry"} { // ggcr's does not mount
		t.Run(name, func(t *testing.T) {
			host := registries()[name](t)
			if host == "" {
				t.Skip("docker-registry is not installed")
			}
			front := inject(t, host)
			dest := destination(t, serve(t, front)+"/shudl")
			store, key := t.TempDir(), attesttest.NewKey(t)
			parent := postgresql()
			parent.name, parent.content = "base-postgresql", "parent"
			mustPublish(t, dest, parent.release(t, store), publish.Options{Signer: key})
			front.disarm()
			child := postgresql()
			child.sibling = parent.name
			release := child.release(t, store)
			mustPublish(t, dest, release, publish.Options{Signer: key})
			shared := release.Images[0].Blobs[1].Digest.String()
			for _, write := range front.written() {
				if strings.HasPrefix(write, "PUT") && strings.Contains(write, url.QueryEscape(shared)) {
					t.Errorf("the parent's layer was uploaded: %s", write)
				}
			}
			repo, _ := dest.Repository("postgresql")
			complete(t, repo, "latest", key)
		})
	}
}
