package fetch

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// How long a mirror may take before the next one is asked.
const (
	connectTimeout = 5 * time.Second
	answerTimeout  = 30 * time.Second
	stallTimeout   = 30 * time.Second // without a single byte
	deadFor        = 30 * time.Second // a host that could not be reached is not asked again
)

// perHost is the most connections that one host gets.
const perHost = 6

const userAgent = "shudl-assemble (+https://github.com/shudl/shudl-assemble)"

// NewClient gives the HTTP client that fetchers use: proxies as the
// environment says, short waits, few connections to one host, and redirects
// that never go from https to http.
func NewClient() *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			TLSHandshakeTimeout:   2 * connectTimeout,
			ResponseHeaderTimeout: answerTimeout,
			IdleConnTimeout:       90 * time.Second,
			MaxConnsPerHost:       perHost,
			MaxIdleConnsPerHost:   perHost,
			// What the mirror holds is what the lock's sha256 is of.
			DisableCompression: true,
		},
		CheckRedirect: checkRedirect,
	}
}

// checkRedirect keeps credentials with the host that they were given for; the
// standard library would pass them on to a subdomain, and to another port.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return &answerError{"more than 10 redirects"}
	}
	first := via[0].URL
	if via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return &answerError{"a redirect from https to " + next.URL.Scheme}
	}
	if origin(next.URL) != origin(first) {
		next.Header.Del("Authorization")
		next.Header.Del("Cookie")
	}
	next.Header.Del("Referer")
	return nil
}

// origin is what credentials belong to: scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}

// hosts remembers which hosts could not be reached, so that the second of a
// hundred files does not wait for what the first has waited for.
type hosts struct {
	mu   sync.Mutex
	dead map[string]deadHost
}

type deadHost struct {
	err   error
	until time.Time
}

func (h *hosts) check(u *url.URL) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d, ok := h.dead[origin(u)]; ok && time.Now().Before(d.until) {
		return d.err
	}
	return nil
}

func (h *hosts) bury(u *url.URL, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead == nil {
		h.dead = map[string]deadHost{}
	}
	h.dead[origin(u)] = deadHost{err: err, until: time.Now().Add(deadFor)}
}

// unreachable says whether no connection came about at all.
func unreachable(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}
