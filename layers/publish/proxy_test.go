package publish_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/shudl/shudl-assemble/layers/attest"
)

type signer = *attest.Key

// httputilProxy passes requests on under the name that the client used, so
// that the addresses that a registry answers lead back to the proxy.
type httputilProxy struct{ target *url.URL }

func (p *httputilProxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	proxy := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0), // clients hang up once they know enough
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = p.target.Scheme, p.target.Host
			r.Out.Host = r.In.Host
		},
	}
	proxy.ServeHTTP(w, req)
}
