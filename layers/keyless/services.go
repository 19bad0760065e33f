package keyless

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/shudl/shudl-assemble/layers/publish"
)

// services are those that a signing config names for now.
type services struct {
	authority string   // of certificates
	stampers  []string // timestamp authorities
	logs      []root.Service
}

// choose picks the services of a signing config that are valid, as many as
// it asks for.
func choose(config *root.SigningConfig, now time.Time) (services, error) {
	authority, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return services{}, fmt.Errorf("%w: signing config: certificate authority: %w", ErrConfig, err)
	}
	chosen := services{authority: authority.URL}
	if err := encrypted(chosen.authority); err != nil {
		return services{}, err
	}
	if all := config.TimestampAuthorityURLs(); len(all) > 0 {
		stampers, err := root.SelectServices(all, config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
		if err != nil {
			return services{}, fmt.Errorf("%w: signing config: timestamp authorities: %w", ErrConfig, err)
		}
		for _, one := range stampers {
			chosen.stampers = append(chosen.stampers, one.URL)
		}
	}
	if all := config.RekorLogURLs(); len(all) > 0 {
		if chosen.logs, err = root.SelectServices(all, config.RekorLogURLsConfig(), sign.RekorAPIVersions, now); err != nil {
			return services{}, fmt.Errorf("%w: signing config: transparency logs: %w", ErrConfig, err)
		}
	}
	if len(chosen.stampers)+len(chosen.logs) == 0 {
		return services{}, fmt.Errorf("%w: the signing config names neither a transparency log nor a timestamp authority: "+
			"who would say that the certificate was valid when it signed?", ErrConfig)
	}
	return chosen, nil
}

// encrypted refuses to send a token in the clear to another machine.
func encrypted(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%w: signing config: certificate authority: %w", ErrConfig, err)
	}
	if u.Scheme != "https" && !publish.Loopback(u.Host) {
		return fmt.Errorf("%w: certificate authority %s: the identity token would be sent without encryption", ErrConfig, address)
	}
	return nil
}

// timeout bounds one request to an authority; the log has its own.
const timeout = 30 * time.Second

// stampers are clients whose requests end with the context.
func (s *Signer) stampers(ctx context.Context) []*sign.TimestampAuthority {
	clients := make([]*sign.TimestampAuthority, 0, len(s.services.stampers))
	for _, address := range s.services.stampers {
		clients = append(clients, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{
			URL: address, Timeout: timeout, Transport: bound{ctx, s.transport},
		}))
	}
	return clients
}

// logs are fresh clients: one is not safe for two signatures at a time.
func (s *Signer) logs() []sign.Transparency {
	clients := make([]sign.Transparency, 0, len(s.services.logs))
	for _, log := range s.services.logs {
		clients = append(clients, sign.NewRekor(&sign.RekorOptions{
			BaseURL: log.URL, Timeout: timeout, Version: log.MajorAPIVersion,
		}))
	}
	return clients
}

// bound ends requests with a context that their maker does not know.
type bound struct {
	ctx   context.Context
	inner http.RoundTripper
}

func (b bound) RoundTrip(req *http.Request) (*http.Response, error) {
	return b.inner.RoundTrip(req.WithContext(b.ctx))
}
