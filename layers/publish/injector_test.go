package publish_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// fault is what happens to a write request on its way to a registry.
type fault string

const (
	refused     fault = "refused"      // answered 403, never passed on
	cut         fault = "cut"          // half of the body is passed on, then the line is closed
	lost        fault = "lost"         // the connection is reset, nothing is passed on
	unanswered  fault = "unanswered"   // passed on and done, then the connection is reset
	answersLate fault = "answers late" // passed on and done, but the client gives up before it is told
	arrivesLate fault = "arrives late" // the client gives up first, then it is passed on
)

// faults are all kinds.
func faults() []fault {
	return []fault{refused, cut, lost, unanswered, answersLate, arrivesLate}
}

// givesUp says whether the client ends its push on its own.
func (f fault) givesUp() bool { return f == answersLate || f == arrivesLate }

// injector stands before a registry, counts the requests that write, and
// brings a fault upon some.
type injector struct {
	proxy http.Handler

	mu       sync.Mutex
	writes   []string
	fault    fault
	from, to int // the writes with these numbers, from 1, and between; from 0 is none
	injected int
	pending  int
	settled  sync.Cond // no write is pending
	giveUp   func()    // ends the client's push
}

func inject(t *testing.T, host string) *injector {
	t.Helper()
	i := &injector{proxy: passTo(&url.URL{Scheme: "http", Host: host})}
	i.settled.L = &i.mu
	return i
}

// passTo passes requests on under the name that the client used, so that the
// addresses that a registry answers lead back here.
func passTo(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0), // clients hang up once they know enough
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
		},
	}
}

// arm sets the fault for the writes from, to and between, counted from the
// next request on.
func (i *injector) arm(f fault, from, to int, giveUp func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.writes, i.injected = nil, 0
	i.fault, i.from, i.to, i.giveUp = f, from, to, giveUp
}

// disarm waits until all writes are over and what arrives late has arrived, and returns how many
// requests had a fault since the injector was armed.
func (i *injector) disarm() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.pending > 0 {
		i.settled.Wait()
	}
	n := i.injected
	i.writes, i.injected, i.from = nil, 0, 0
	return n
}

// written lists the requests that wrote since the injector was armed.
func (i *injector) written() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.writes)
}

func (i *injector) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		i.proxy.ServeHTTP(w, req)
		return
	}
	i.mu.Lock()
	i.writes = append(i.writes, req.Method+" "+req.URL.Path+"?"+req.URL.RawQuery)
	n := len(i.writes)
	hit := i.from > 0 && n >= i.from && n <= i.to
	if hit {
		i.injected++
	}
	i.pending++
	f, giveUp := i.fault, i.giveUp
	i.mu.Unlock()
	defer i.settle()
	if !hit {
		// A registry goes on with a write whose client has gone, and so does
		// this: it is over before anybody looks.
		i.proxy.ServeHTTP(w, req.WithContext(context.WithoutCancel(req.Context())))
		return
	}
	i.bring(f, giveUp, w, req)
}

func (i *injector) settle() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pending--
	i.settled.Broadcast()
}

// bring brings a fault upon a request.
func (i *injector) bring(f fault, giveUp func(), w http.ResponseWriter, req *http.Request) {
	switch f {
	case refused:
		http.Error(w, `{"errors":[{"code":"DENIED"}]}`, http.StatusForbidden)
	case cut:
		body := &half{inner: req.Body, left: max(req.ContentLength/2, 0)}
		req.Body = body
		i.proxy.ServeHTTP(discard{}, req)
		hangUp(w, false)
	case lost:
		hangUp(w, true)
	case unanswered:
		i.proxy.ServeHTTP(discard{}, req)
		hangUp(w, true)
	case answersLate:
		i.proxy.ServeHTTP(discard{}, req)
		giveUp()
		<-req.Context().Done()
	case arrivesLate:
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		giveUp()
		<-req.Context().Done()
		i.late(body, req)
	}
}

// late passes on a request whose client has gone.
func (i *injector) late(body []byte, req *http.Request) {
	again := req.Clone(context.WithoutCancel(req.Context()))
	again.Body = io.NopCloser(bytes.NewReader(body))
	i.proxy.ServeHTTP(discard{}, again)
}

// errCut ends a body before its end.
var errCut = errors.New("cut")

// half is a body that ends early, with an error.
type half struct {
	inner io.ReadCloser
	left  int64
}

func (h *half) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errCut
	}
	n, err := h.inner.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}

func (h *half) Close() error { return h.inner.Close() }

// discard is an answer that nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// hangUp ends the client's connection without an answer, by a reset or in
// good order.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		tcp.SetLinger(0)
	}
	conn.Close()
}
