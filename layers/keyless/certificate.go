package keyless

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// identity is whom a certificate names, and who vouched.
type identity struct{ name, issuer string }

// credential is a key that lives as long as its certificate, and this.
type credential struct {
	keypair *sign.EphemeralKeypair
	leaf    *x509.Certificate
	chain   []*x509.Certificate // issuers, the root last
}

// GetCertificate gives the certificate that is there to sigstore's signer.
func (c *credential) GetCertificate(context.Context, sign.Keypair, *sign.CertificateProviderOptions) ([]byte, error) {
	return c.leaf.Raw, nil
}

// margin is how long a certificate must still be valid to sign with it: no
// signature takes longer, its log entry and timestamp included.
const margin = 2 * time.Minute

// credential returns the current one, or a new one in good time: a long push
// outlives several. The identity stays the same.
func (s *Signer) credential(ctx context.Context) (*credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && time.Until(s.current.leaf.NotAfter) > margin {
		return s.current, nil
	}
	c, err := s.request(ctx)
	if err != nil {
		return nil, err
	}
	summary, err := certificate.SummarizeCertificate(c.leaf)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate from %s: %w", ErrConfig, s.services.authority, err)
	}
	who := identity{name: summary.SubjectAlternativeName, issuer: summary.Issuer}
	if s.current == nil {
		if s.reader, err = newReader(who, s.root, len(s.services.logs) > 0); err != nil {
			return nil, err
		}
		s.identity = who
	} else if who != s.identity {
		return nil, fmt.Errorf("%w: it was %s (issuer %s), and is now %s (issuer %s)",
			ErrIdentity, s.identity.name, s.identity.issuer, who.name, who.issuer)
	}
	s.current = c
	return c, nil
}

// request makes a key and has the authority certify it.
func (s *Signer) request(ctx context.Context) (*credential, error) {
	token, err := s.token(ctx)
	if err != nil {
		return nil, err
	}
	keypair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, fmt.Errorf("make a key for one certificate: %w", err)
	}
	authority := sign.NewFulcio(&sign.FulcioOptions{
		BaseURL: s.services.authority, Timeout: timeout, Retries: tries - 1, Transport: bound{ctx, s.transport},
	})
	der, err := authority.GetCertificate(ctx, keypair, &sign.CertificateProviderOptions{IDToken: token})
	if err != nil {
		return nil, fmt.Errorf("%w: certificate authority %s: %w: is the token expired, or its audience not %s?",
			ErrIdentity, s.services.authority, err, audience)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate from %s: %w", s.services.authority, err)
	}
	chain, err := s.chain(leaf)
	return &credential{keypair: keypair, leaf: leaf, chain: chain}, err
}

// chain finds the issuers of a certificate in the trusted root.
func (s *Signer) chain(leaf *x509.Certificate) ([]*x509.Certificate, error) {
	chains, err := verify.VerifyLeafCertificate(leaf.NotBefore, leaf, s.root)
	if err == nil && (len(chains) == 0 || len(chains[0]) < 2) {
		err = errors.New("no chain to a root")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the trusted root does not know the authority %s: %w", ErrConfig, s.services.authority, err)
	}
	return chains[0][1:], nil
}

func leafOf(b *attest.Bundle) (*x509.Certificate, error) {
	content, err := b.VerificationContent()
	if err != nil {
		return nil, err
	}
	if content.Certificate() == nil {
		return nil, errors.New("the bundle holds no certificate")
	}
	return content.Certificate(), nil
}
