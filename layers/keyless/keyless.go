// Package keyless signs with an identity instead of a key: a certificate
// authority (Fulcio) vouches for whom an OpenID Connect token names, a
// transparency log (Rekor) or a timestamp authority says when, and the key
// that signed is gone with the process. What is signed is verified as its
// readers will before it is handed out.
package keyless

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/recipes"
)

// Errors that callers tell apart.
var (
	// ErrIdentity is an identity that is missing or was refused.
	ErrIdentity = errors.New("no identity to sign with")
	// ErrConfig is a signing config or trusted root that cannot work.
	ErrConfig = errors.New("keyless signing cannot work")
)

// Options says with which identity, and by which services.
type Options struct {
	// SigningConfig names the services and TrustedRoot what readers trust,
	// both as files in sigstore's JSON forms. Without both it is the public
	// instance of Sigstore, whose files TUF brings.
	SigningConfig, TrustedRoot string
	// TUF says where Sigstore's files come from where none are named; nil
	// means the public instance.
	TUF *tuf.Options
	// Token is an OpenID Connect token, or a file with one. Without it the
	// environment is asked.
	Token string
	// Transport carries requests to the certificate and timestamp
	// authorities; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Wait is how long to wait before the second try of a signature, and
	// twice as long before the third; zero means one second.
	Wait time.Duration
}

// Signer signs as one identity.
type Signer struct {
	services  services
	root      root.TrustedMaterial
	token     func(ctx context.Context) (string, error)
	transport http.RoundTripper
	wait      time.Duration

	mu       sync.Mutex
	current  *credential
	identity identity
	reader   *reader
}

var _ attest.Signer = (*Signer)(nil)

// New finds the identity and gets the first certificate, so that a missing
// permission is known before anything else is done. The error is ErrIdentity
// or ErrConfig.
func New(ctx context.Context, o Options) (*Signer, error) {
	config, trusted, err := material(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Signer{root: trusted, token: tokens(o.Token), transport: o.Transport, wait: o.Wait}
	if s.services, err = choose(config, time.Now()); err != nil {
		return nil, err
	}
	if s.transport == nil {
		s.transport = http.DefaultTransport
	}
	if s.wait == 0 {
		s.wait = time.Second
	}
	if _, err := s.credential(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// ID is the identity in the certificate: its subject alternative name.
func (s *Signer) ID() string { return s.identity.name }

// Issuer is who vouched for the identity.
func (s *Signer) Issuer() string { return s.identity.issuer }

// Repeats is false: each certificate, timestamp and log entry is new.
func (s *Signer) Repeats() bool { return false }

// Classic says whether classic items can be signed: they need a timestamp
// authority, since they hold no entry of a log that readers could check.
func (s *Signer) Classic() bool { return len(s.services.stampers) > 0 }

// Bundle signs a statement.
func (s *Signer) Bundle(ctx context.Context, statement []byte) (*attest.Bundle, error) {
	b, err := s.bundle(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("sign as %s: %w", s.ID(), err)
	}
	return b, nil
}

func (s *Signer) bundle(ctx context.Context, statement []byte) (*attest.Bundle, error) {
	var made *protobundle.Bundle
	// A new try is a new signature: what a log has taken of the last one is
	// never in the way.
	err := s.try(ctx, func() error {
		c, err := s.credential(ctx)
		if err != nil {
			return err
		}
		made, err = sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: attest.PayloadType}, c.keypair, sign.BundleOptions{
			CertificateProvider:  c,
			TimestampAuthorities: s.stampers(ctx),
			TransparencyLogs:     s.logs(),
			Context:              ctx,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	b, err := attest.NewBundle(made)
	if err != nil {
		return nil, err
	}
	subject := recipes.Digest(b.Statement.Subject[0].Digest["sha256"])
	return b, s.check(ctx, attest.BundleItem(b.Content), subject)
}

// check holds what was signed against what its readers will hold it against.
func (s *Signer) check(ctx context.Context, item attest.Item, subject recipes.Digest) error {
	if err := s.reader.check(ctx, item, subject); err != nil {
		return fmt.Errorf("%w: the trusted root does not fit the services of the signing config: %w", ErrConfig, err)
	}
	return nil
}

// Signed says whether this identity signed an item, now or earlier, in a way
// that the trusted root still holds.
func (s *Signer) Signed(item attest.Item) bool {
	return s.reader.check(context.Background(), item, "") == nil
}

// tries is how often a signature is tried.
const tries = 3

func (s *Signer) try(ctx context.Context, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || n == tries || ctx.Err() != nil || errors.Is(err, ErrIdentity) || errors.Is(err, ErrConfig) {
			return err
		}
		timer := time.NewTimer(time.Duration(n) * s.wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
