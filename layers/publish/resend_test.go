package publish_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

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
				key, release := testKey(t), postgresql().release(t, t.TempDir())
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
