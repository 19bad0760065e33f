package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// guard keeps credentials where they belong: on the registry they were given
// for, or its own token server, and never on plain http after https.
type guard struct {
	inner    http.RoundTripper
	registry name.Registry
	allowed  []string
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if g.registry.Scheme() == "https" && req.URL.Scheme != "https" {
		return nil, fmt.Errorf("%w: %s sends us to %s://%s, without encryption",
			ErrPermission, g.registry, req.URL.Scheme, req.URL.Host)
	}
	if carriesSecret(req) && !trustedRealm(g.registry.RegistryStr(), req.URL, g.allowed) {
		return nil, fmt.Errorf("%w: %s asks for its credentials to be sent to %s, which is not of its domain",
			ErrPermission, g.registry, req.URL.Host)
	}
	return g.inner.RoundTrip(req)
}

// carriesSecret says whether a request holds long-lived credentials: a
// password, or a refresh token in a form.
func carriesSecret(req *http.Request) bool {
	return strings.HasPrefix(req.Header.Get("Authorization"), "Basic ") ||
		strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// bound ends requests with a context that their maker does not know.
type bound struct {
	ctx   context.Context
	inner http.RoundTripper
}

func (b bound) RoundTrip(req *http.Request) (*http.Response, error) {
	return b.inner.RoundTrip(req.WithContext(b.ctx))
}

// below is the transport below authentication. A fresh one opens connections
// of its own.
func (r *Registry) below(fresh bool) http.RoundTripper {
	inner := r.options.Transport
	if inner == nil {
		inner = remote.DefaultTransport
	}
	if t, ok := inner.(*http.Transport); ok && fresh {
		inner = t.Clone()
	}
	inner = guard{inner: inner, registry: r.registry, allowed: r.options.RealmHosts}
	return greeted{inner: limited{inner: inner, slots: r.slots}, greeting: r.greeting}
}

// limited bounds the requests in flight.
type limited struct {
	inner http.RoundTripper
	slots chan struct{}
}

func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
		return l.inner.RoundTrip(req)
	case <-req.Context().Done():
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, context.Cause(req.Context())
	}
}

// greeting remembers how a registry answers to /v2/, which says how it wants
// to be asked for access. Each client of each repository begins with it.
type greeting struct {
	mu      sync.Mutex
	answers map[string]*answer
}

// answer is what does not change of an answer.
type answer struct {
	mu     sync.Mutex // held while it is asked for
	status int        // 0 before
	header http.Header
}

func newGreeting() *greeting { return &greeting{answers: map[string]*answer{}} }

// at is the answer of one address, known or not.
func (g *greeting) at(address string) *answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.answers[address] == nil {
		g.answers[address] = new(answer)
	}
	return g.answers[address]
}

// greeted answers from the greeting what was asked before.
type greeted struct {
	inner    http.RoundTripper
	greeting *greeting
}

func (g greeted) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.URL.Path != "/v2/" || req.Header.Get("Authorization") != "" {
		return g.inner.RoundTrip(req)
	}
	known := g.greeting.at(req.URL.String())
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.status != 0 {
		return &http.Response{
			Status: http.StatusText(known.status), StatusCode: known.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: known.header.Clone(), Body: http.NoBody, Request: req,
		}, nil
	}
	resp, err := g.inner.RoundTrip(req)
	if err == nil && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized) {
		known.status, known.header = resp.StatusCode, resp.Header.Clone()
	}
	return resp, err
}

// passing says whether a failure may be over at the next try.
func passing(err error) bool {
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() {
		return true
	}
	for _, cut := range []error{io.ErrUnexpectedEOF, io.EOF, syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed} {
		if errors.Is(err, cut) {
			return true
		}
	}
	return false
}

// pause waits between the tries of what no transport repeats: one second
// times the number of tries, or as the options say.
func (r *Registry) pause(ctx context.Context, tries int) error {
	base := time.Second
	if r.options.Backoff != nil {
		base = r.options.Backoff.Duration
	}
	return wait(ctx, base*time.Duration(tries))
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// again does something up to three times, or as the options say, while it
// fails in a way that may be over the next time.
func (r *Registry) again(ctx context.Context, do func() error) error {
	backoff := remote.Backoff{Duration: time.Second, Factor: 3, Steps: 3}
	if r.options.Backoff != nil {
		backoff = *r.options.Backoff
	}
	for try := 1; ; try++ {
		err := do()
		if err == nil || try >= backoff.Steps || !passing(err) || ctx.Err() != nil {
			return err
		}
		if err := wait(ctx, backoff.Duration); err != nil {
			return err
		}
		backoff.Duration = time.Duration(float64(backoff.Duration) * backoff.Factor)
	}
}

// reads repeats requests that only read: of one that writes, who made it knows
// what it left behind.
type reads struct{ repeated, once http.RoundTripper }

func (t reads) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return t.repeated.RoundTrip(req)
	}
	return t.once.RoundTrip(req)
}

// retrying adds the waits between tries and our name.
func (r *Registry) retrying(inner http.RoundTripper) http.RoundTripper {
	options := []transport.Option{
		transport.WithRetryPredicate(passing),
		transport.WithRetryStatusCodes(http.StatusRequestTimeout, http.StatusTooManyRequests,
			http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout),
	}
	if r.options.Backoff != nil {
		options = append(options, transport.WithRetryBackoff(*r.options.Backoff))
	}
	return transport.NewUserAgent(reads{transport.NewRetry(inner, options...), rewound{inner}}, r.options.userAgent())
}
