package publish

import (
	"io"
	"net/http"
	"sync/atomic"
)

// A request that writes may have to be sent twice, its body from the
// beginning: where the token of a registry ends in the middle of a push, which
// the refusal of a request tells whose body has gone by then, and where the
// registry has another place for it (307 and 308).

// withBody gives a request a body of size bytes that open begins anew.
func withBody(req *http.Request, size int64, open func() (io.ReadCloser, error)) error {
	begin := func() (io.ReadCloser, error) {
		if size == 0 {
			return http.NoBody, nil
		}
		content, err := open()
		if err != nil {
			return nil, err
		}
		return &sendable{ReadCloser: content}, nil
	}
	body, err := begin()
	if err != nil {
		return err
	}
	req.Body, req.ContentLength, req.GetBody = body, size, begin
	return nil
}

// sendable is a body that knows whether it was handed on.
type sendable struct {
	io.ReadCloser
	used atomic.Bool
}

// rewound begins the body of a request anew that is sent again. It stands
// below what authenticates, which repeats a request with a new token as it is.
type rewound struct{ inner http.RoundTripper }

func (t rewound) RoundTrip(req *http.Request) (*http.Response, error) {
	if body, ok := req.Body.(*sendable); ok && body.used.Swap(true) {
		anew, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		// What sent it first may still be reading the old one, or yet close it.
		req = req.WithContext(req.Context())
		req.Body = anew
	}
	return t.inner.RoundTrip(req)
}
