package assemble

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"

	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// counted is a registry that writes down what is asked of it.
type counted struct {
	registry http.Handler

	mu       sync.Mutex
	requests []string // METHOD PATH
	sent     int64    // bytes of request bodies that are blobs
}

func (c *counted) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c.mu.Lock()
	if req.URL.Path != "/v2/" { // the greeting, once a run
		c.requests = append(c.requests, req.Method+" "+req.URL.Path)
	}
	c.mu.Unlock()
	if strings.Contains(req.URL.Path, "/blobs/") {
		req.Body = &countedBody{req.Body, c}
	}
	c.registry.ServeHTTP(w, req)
}

type countedBody struct {
	io.ReadCloser
	c *counted
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.mu.Lock()
	b.c.sent += int64(n)
	b.c.mu.Unlock()
	return n, err
}

// since gives what was asked since the last call.
func (c *counted) since() (requests []string, sent int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests, sent = c.requests, c.sent
	c.requests, c.sent = nil, 0
	return requests, sent
}

// places are a folder and a registry; each makes a new destination at the same
// place, as a new run does.
func places(t *testing.T) map[string]func() publish.Destination {
	folder := filepath.Join(t.TempDir(), "images")
	to, _ := startCounted(t)
	return map[string]func() publish.Destination{
		"folder": func() publish.Destination { return publish.NewLayout(folder) }, "registry": to,
	}
}

func startCounted(t *testing.T) (to func() publish.Destination, c *counted) {
	t.Helper()
	c = &counted{registry: ociserver.New(ocimem.New(), nil)}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return func() publish.Destination {
		dest, err := publish.ParseDestination(strings.TrimPrefix(server.URL, "http://")+"/org", publish.RegistryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return dest
	}, c
}

// changed are the options of the next run: changed recipes, and the same
// store, key and destination.
func changed(t *testing.T, o Options, to func() publish.Destination, change map[string]string) Options {
	t.Helper()
	next := options(t, change)
	next.Store, next.Fetcher, next.Signer, next.Dest = o.Store, o.Fetcher, o.Signer, to()
	return next
}

// spoil gives layers in the store other bytes, which nothing but reading tells:
// whoever reads one fails. What is a link to them in a folder is spoilt too.
func spoil(t *testing.T, o Options, layers ...recipes.Digest) (restore func()) {
	t.Helper()
	was := map[string][]byte{}
	for _, d := range layers {
		path, err := o.Store.Path(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		was[path] = content
		replace(t, path, append([]byte{content[0] ^ 1}, content[1:]...))
	}
	return func() {
		for path, content := range was {
			replace(t, path, content)
		}
	}
}

// replace changes the bytes of a file and nothing else of it.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if os.IsPermission(err) {
		if err = os.Chmod(path, 0o644); err == nil {
			f, err = os.OpenFile(path, os.O_WRONLY, 0)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// contentLayers are the layers of an image's own, but for its state.
func contentLayers(t *testing.T, o Options, name string) []recipes.Digest {
	t.Helper()
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	var found []recipes.Digest
	for _, n := range r.nodes {
		if n.image.Name != name || !n.lookup() {
			continue
		}
		for _, l := range n.record.Own {
			if l.Name != "state" {
				found = append(found, l.Blob.Digest)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no layers in the store", name)
	}
	return found
}

// TestNothingChangedAsksTwiceAnImage counts the requests of a whole run that
// changes nothing.
func TestNothingChangedAsksTwiceAnImage(t *testing.T) {
	to, count := startCounted(t)
	o := options(t, nil)
	o.Dest = to()
	first := mustRun(t, o)
	count.since()
	o.Dest = to()
	second := mustRun(t, o)
	requests, sent := count.since()
	if len(requests) > 2*len(second.Images) || sent != 0 {
		t.Errorf("%d images, %d bytes of blobs sent, requests:\n%s", len(second.Images), sent, strings.Join(requests, "\n"))
	}
	for i, img := range second.Images {
		if img.Digest != first.Images[i].Digest || img.Reference != first.Images[i].Reference || img.Written != 0 || len(img.Moved) != 0 {
			t.Errorf("first %+v\nsecond %+v", first.Images[i], img)
		}
	}
}

// TestMovedBaseReadsNoServiceLayer moves the base, and then changes the
// service: of the one, no content layer of the service is read, compressed or
// sent; of the other, none of the base.
func TestMovedBaseReadsNoServiceLayer(t *testing.T) {
	for name, to := range places(t) {
		t.Run(name, func(t *testing.T) {
			o := options(t, nil)
			o.Dest = to()
			mustRun(t, o)
			base, service := contentLayers(t, o, "base-debian"), contentLayers(t, o, "service")

			restore := spoil(t, o, service...)
			moved := changed(t, o, to, map[string]string{"base-debian/files/usr/bin/tool": "#!/bin/sh\necho another base\n"})
			result := mustRun(t, moved)
			restore()
			for _, img := range result.Images {
				if len(img.Moved) == 0 {
					t.Errorf("%s did not move", img.Ref)
				}
			}
			if got := contentLayers(t, moved, "service"); got[0] != service[0] {
				t.Errorf("the service's layer is %s, and was %s", got[0], service[0])
			}
			mustRun(t, changed(t, o, to, nil)) // back

			restore = spoil(t, o, base...)
			again := changed(t, o, to, map[string]string{"service/files/usr/bin/run": "#!/bin/sh\necho another service\n"})
			mustRun(t, again)
			restore()
			if got := contentLayers(t, again, "service"); got[0] == service[0] {
				t.Error("the service's layer did not change")
			}
		})
	}
}

// TestOnlyChangedLayersAreSent counts the bytes of blobs that go to a registry
// when the base moves: its own layer, the state layers and what is said of the
// images, and nothing of a large layer of the service.
func TestOnlyChangedLayersAreSent(t *testing.T) {
	to, count := startCounted(t)
	var text strings.Builder
	for range 300 {
		text.WriteString(bigText())
	}
	large := map[string]string{"service/files/usr/share/large": text.String()}
	o := options(t, large)
	o.Dest = to()
	mustRun(t, o)
	service := contentLayers(t, o, "service")
	size, _ := o.Store.Has(service[0])
	if _, sent := count.since(); sent < size {
		t.Fatalf("%d bytes sent the first time, the layer of %d bytes among them", sent, size)
	}
	large["base-debian/files/usr/bin/tool"] = "#!/bin/sh\necho another base\n"
	mustRun(t, changed(t, o, to, large))
	requests, sent := count.since()
	if sent >= size {
		t.Errorf("%d bytes sent, and the service's layer has %d", sent, size)
	}
	for _, request := range requests {
		if strings.HasSuffix(request, fmt.Sprint("sha256:", service[0])) && !strings.HasPrefix(request, http.MethodHead) {
			t.Errorf("the service's layer is asked for: %s", request)
		}
	}
}
