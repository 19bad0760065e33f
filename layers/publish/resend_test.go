package publish_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// gate stands before a registry and wants a token, or another address, of
// whoever writes there for the first time.
type gate struct {
	proxy http.Handler
	host  string // its own, HOST:PORT

	mu     sync.Mutex
	moves  bool            // answer 307, not that the token is over
	early  bool            // answer before the body was read
	turned map[string]bool // what was turned away once
}

func (g *gate) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/token" {
		fmt.Fprint(w, `{"token":"t"}`)
		return
	}
	g.mu.Lock()
	known := g.moves || req.Header.Get("Authorization") == "Bearer t"
	turn := known && req.Method == http.MethodPut && !g.turned[req.URL.Path]
	if turn {
		g.turned[req.URL.Path] = true
	}
	g.mu.Unlock()
	if turn && !g.early {
		io.Copy(io.Discard, req.Body)
	}
	switch {
	case turn && g.moves:
		w.Header().Set("Location", req.URL.String())
		w.WriteHeader(http.StatusTemporaryRedirect)
	case turn || !known:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="s"`, g.host))
		w.WriteHeader(http.StatusUnauthorized)
	default:
		g.proxy.ServeHTTP(w, req)
	}
}

// TestWritesAreSentAgain: a token that ends in the middle of a push, at each
// blob and manifest, and a registry that sends every write elsewhere.
func TestWritesAreSentAgain(t *testing.T) {
	for name, g := range map[string]*gate{
		"token over":        {},
		"token over, early": {early: true},
		"moved":             {moves: true},
		"moved, early":      {moves: true, early: true},
	} {
		for registry, start := range registries() {
			g := &gate{moves: g.moves, early: g.early, turned: map[string]bool{}}
			t.Run(name+"/"+registry, func(t *testing.T) {
				host := start(t)
				if host == "" {
					t.Skip("docker-registry is not installed")
				}
				g.proxy = passTo(&url.URL{Scheme: "http", Host: host})
				g.host = serve(t, g)
				key, release := attesttest.NewKey(t), postgresql().release(t, t.TempDir())
				dest := destination(t, g.host+"/shudl")
				mustPublish(t, dest, release, publish.Options{Signer: key})
				repo, err := dest.Repository(release.Name)
				if err != nil {
					t.Fatal(err)
				}
				for _, tag := range release.Tags {
					if !complete(t, repo, tag, key) {
						t.Errorf("%s is not whole", tag)
					}
				}
				blobs := 0
				for path := range g.turned {
					if strings.Contains(path, "/blobs/") {
						blobs++
					}
				}
				if blobs == 0 || len(g.turned) == blobs {
					t.Errorf("%d writes were turned away once, %d of them blobs", len(g.turned), blobs)
				}
			})
		}
	}
}

// late is a transport that is turned away before it has read a body, and closes
// this once the request is sent again, as http.RoundTripper allows.
type late struct {
	mu   sync.Mutex
	left map[string]io.Closer // by path
}

func (l *late) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPut {
		return http.DefaultTransport.RoundTrip(req)
	}
	l.mu.Lock()
	left, again := l.left[req.URL.Path]
	l.left[req.URL.Path] = req.Body
	l.mu.Unlock()
	if again {
		left.Close()
		return http.DefaultTransport.RoundTrip(req)
	}
	ask := req.Clone(req.Context())
	ask.Body, ask.ContentLength = nil, 0
	return http.DefaultTransport.RoundTrip(ask)
}

// TestBodyOfItsOwn: a write that is sent again has nothing in common with the
// first, of which nobody knows when it is closed.
func TestBodyOfItsOwn(t *testing.T) {
	g := &gate{early: true, turned: map[string]bool{}, proxy: passTo(&url.URL{Scheme: "http", Host: registries()["ggcr"](t)})}
	g.host = serve(t, g)
	release := postgresql().release(t, t.TempDir())
	for i, blob := range release.Images[0].Blobs {
		if blob.File != nil {
			release.Images[0].Blobs[i].Open = func(ctx context.Context) (io.ReadCloser, error) {
				path, err := blob.File(ctx)
				if err != nil {
					return nil, err
				}
				return os.Open(path) // which cannot be read once it is closed
			}
		}
	}
	o := quick()
	o.Transport = &late{left: map[string]io.Closer{}}
	dest, err := publish.ParseDestination(g.host+"/shudl", o)
	if err != nil {
		t.Fatal(err)
	}
	mustPublish(t, dest, release, publish.Options{Signer: attesttest.NewKey(t)})
}
