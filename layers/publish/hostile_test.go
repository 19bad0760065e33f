package publish_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// lying stands before a real registry and answers some requests itself.
func lying(t *testing.T, lie func(w http.ResponseWriter, req *http.Request) bool) publish.Destination {
	t.Helper()
	real := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !lie(w, req) {
			real.ServeHTTP(w, req)
		}
	}))
	return destination(t, host+"/shudl")
}

func TestRegistryThatLies(t *testing.T) {
	tests := map[string]func(w http.ResponseWriter, req *http.Request) bool{
		"has every blob": func(w http.ResponseWriter, req *http.Request) bool {
			return req.Method == http.MethodHead && strings.Contains(req.URL.Path, "/blobs/")
		},
		"forgets manifests and answers another digest": func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "/manifests/sha256:") {
				return false
			}
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
			w.WriteHeader(http.StatusCreated)
			return true
		},
		"serves other bytes for a blob": func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/sha256:") {
				return false
			}
			fmt.Fprint(w, strings.Repeat("x", 512))
			return true
		},
		"lists no referrers": func(w http.ResponseWriter, req *http.Request) bool {
			if !strings.Contains(req.URL.Path, "/referrers/sha256:") {
				return false
			}
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			fmt.Fprint(w, `{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageIndex+`","manifests":[]}`)
			return true
		},
		"cuts blobs short": func(w http.ResponseWriter, req *http.Request) bool {
			return req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/sha256:")
		},
	}
	for name, lie := range tests {
		t.Run(name, func(t *testing.T) {
			dest := lying(t, lie)
			release, key := postgresql().release(t, t.TempDir()), attesttest.NewKey(t)
			_, err := publish.Publish(t.Context(), dest, release, publish.Options{Signer: key})
			if !errors.Is(err, publish.ErrReadBack) {
				t.Errorf("error %v, want ErrReadBack", err)
			}
			repo, _ := dest.Repository(release.Name)
			for _, tag := range release.Tags {
				if _, err := repo.Resolve(t.Context(), tag); !errors.Is(err, publish.ErrNoTag) {
					t.Errorf("%s: %v, want no tag", tag, err)
				}
			}
		})
	}
}

func TestManifestOfAnotherDigestIsRefused(t *testing.T) {
	body := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}`
	dest := lying(t, func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("a", 64))
		fmt.Fprint(w, body)
		return true
	})
	repo, _ := dest.Repository("postgresql")
	d, err := repo.Resolve(t.Context(), "latest")
	if err != nil {
		t.Fatal(err)
	}
	if want := (publish.Manifest{Raw: []byte(body)}).Digest(); d.Digest != want {
		t.Errorf("digest %s taken from the header", d.Digest)
	}
	_, err = repo.Manifest(t.Context(), digest.Digest("sha256:"+strings.Repeat("a", 64)))
	if !errors.Is(err, publish.ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
}

// realms is a registry at example.com that wants a token from a realm, with
// every name resolving to the same server.
func realms(t *testing.T, realm string) (publish.RegistryOptions, *atomic.Int32) {
	t.Helper()
	var leaked atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/token") {
			if req.Header.Get("Authorization") != "" {
				leaked.Add(1)
			}
			fmt.Fprint(w, `{"token":"t"}`)
			return
		}
		if req.Header.Get("Authorization") != "Bearer t" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="s"`, realm))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.NotFound(w, req)
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	o := quick()
	o.Keychain = authn.NewMultiKeychain(fixed{})
	o.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address.Host)
		},
	}
	return o, &leaked
}

// fixed is one user's password for every registry.
type fixed struct{}

func (fixed) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "user", Password: "canary"}, nil
}

func TestCredentialsStayAtHome(t *testing.T) {
	tests := []struct {
		realm   string
		allowed []string
		sent    bool
	}{
		{realm: "https://registry.example.com/token", sent: true},
		{realm: "https://auth.example.com/token", sent: true},
		{realm: "https://evil.test/token"},
		{realm: "http://auth.example.com/token"},
		{realm: "https://example.com.evil.test/token"},
		{realm: "https://evil.test/token", allowed: []string{"evil.test"}, sent: true},
	}
	for _, test := range tests {
		t.Run(test.realm, func(t *testing.T) {
			o, leaked := realms(t, test.realm)
			o.RealmHosts = test.allowed
			dest, err := publish.ParseDestination("registry.example.com/shudl", o)
			if err != nil {
				t.Fatal(err)
			}
			repo, _ := dest.Repository("postgresql")
			_, err = repo.Resolve(t.Context(), "latest")
			if sent := leaked.Load() > 0; sent != test.sent {
				t.Errorf("credentials sent: %t, want %t (%v)", sent, test.sent, err)
			}
			if test.sent != errors.Is(err, publish.ErrNoTag) {
				t.Errorf("error %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the password is in the error: %v", err)
			}
			pushErr := dest.Check(t.Context(), []string{"postgresql"})
			if pushErr == nil || strings.Contains(pushErr.Error(), "canary") {
				t.Errorf("check: %v", pushErr)
			}
		})
	}
}

func TestPermissionIsAskedFirst(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				http.Error(w, `{"errors":[{"code":"DENIED","message":"no"}]}`, status)
			}
		}))
		err := destination(t, host+"/shudl").Check(t.Context(), []string{"postgresql", "minio"})
		if !errors.Is(err, publish.ErrPermission) || !strings.Contains(err.Error(), "shudl/") {
			t.Errorf("%d: error %v, want ErrPermission", status, err)
		}
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	block := make(chan struct{})
	host := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-block:
		case <-req.Context().Done():
		}
	}))
	t.Cleanup(func() { close(block) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := destination(t, host+"/shudl").Check(ctx, []string{"postgresql"}); err == nil {
		t.Error("no error")
	}
}

func TestNoKeyNoRemoteRegistry(t *testing.T) {
	dest := destination(t, "ghcr.io/shudl")
	_, err := attest.FindKey(t.Context(), attest.KeyOptions{Destination: dest.String(), Local: dest.Local(), Dir: t.TempDir()})
	if !errors.Is(err, attest.ErrKeyRequired) || !strings.Contains(err.Error(), "--key") {
		t.Errorf("error %v, want ErrKeyRequired", err)
	}
}
