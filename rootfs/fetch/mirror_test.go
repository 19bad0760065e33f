package fetch

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// content is reproducible noise.
func content(n int) string {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(b)
	return string(b)
}

// mirror is a server that notes what it was asked.
type mirror struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func newMirror(t *testing.T, handle http.HandlerFunc) *mirror {
	t.Helper()
	m := &mirror{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.requests = append(m.requests, r)
		m.mu.Unlock()
		handle(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

func serve(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}
}

// cut gives the first n bytes of each answer and then hangs up.
func cut(body string, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rest := body
		if start, ok := rangeStart(strings.Replace(r.Header.Get("Range"), "=", " ", 1) + "0/"); ok {
			rest = body[start:]
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(body)-1, len(body)))
			w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
		}
		io.WriteString(w, rest[:min(n, len(rest))])
		w.(http.Flusher).Flush()
		if n < len(rest) {
			panic(http.ErrAbortHandler)
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

func fetcher(t *testing.T, bases ...string) *Fetcher {
	t.Helper()
	t.Setenv("NETRC", filepath.Join(t.TempDir(), "none"))
	return &Fetcher{Store: newStore(t), Mirrors: Mirrors{Maven: bases}, Image: "nessie", Pause: time.Millisecond}
}

func artifact(body string) recipes.Artifact {
	return recipes.Artifact{
		Name: "g:a", Version: "1", Archive: Maven, Path: "g/a/1/a-1.jar",
		SHA256: digestOf(body), Size: int64(len(body)),
	}
}

// said is a sink that keeps all text.
type said struct {
	progress.Discard
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Start(verb, subject string) progress.Task {
	s.Say("%s %s", verb, subject)
	return s.Discard.Start(verb, subject)
}

func (s *said) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.b, format+"\n", args...)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
