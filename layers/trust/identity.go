package trust

import (
	"errors"
	"fmt"
	"os"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// IdentityOptions says which certificates are trusted. One of Identity and
// IdentityRegexp, and one of Issuer and IssuerRegexp, must be set.
type IdentityOptions struct {
	// Identity is the certificate's subject alternative name: a workflow's
	// address, a service account or an e-mail address. The regular
	// expressions are Go's and match anywhere, as cosign's do: ^ and $ make
	// them match the whole.
	Identity, IdentityRegexp string
	// Issuer is who vouched for it: the address of an OpenID Connect issuer.
	Issuer, IssuerRegexp string
	// Root is what is trusted: certificate authorities, logs, timestamp
	// authorities.
	Root root.TrustedMaterial
	// IgnoreLog accepts a signature that is in no transparency log. It still
	// needs a signed timestamp.
	IgnoreLog bool
	// IgnoreSCT accepts a certificate that is in no certificate transparency
	// log.
	IgnoreSCT bool
}

// ReadRoot reads a trusted root in sigstore's JSON form, as `cosign
// trusted-root create` writes it.
func ReadRoot(path string) (root.TrustedMaterial, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: trusted root: %w", ErrConfig, err)
	}
	trusted, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%w: trusted root %s: %w: `cosign trusted-root create` makes one", ErrConfig, path, err)
	}
	return trusted, nil
}

// identity is somebody for whom a certificate authority vouched.
type identity struct {
	options  IdentityOptions
	match    verify.CertificateIdentity
	checking []verify.VerifierOption
}

// Identity trusts certificates of an identity by an issuer, whose signature
// was seen by a log or timestamp authority while the certificate was valid.
func Identity(o IdentityOptions) (Signer, error) {
	switch {
	case o.Identity == "" && o.IdentityRegexp == "" || o.Issuer == "" && o.IssuerRegexp == "":
		return nil, fmt.Errorf("%w: an identity is both a name and an issuer", ErrConfig)
	case o.Root == nil:
		return nil, fmt.Errorf("%w: an identity needs a trusted root, which `cosign trusted-root create` makes", ErrConfig)
	case len(o.Root.FulcioCertificateAuthorities()) == 0:
		return nil, fmt.Errorf("%w: the trusted root names no certificate authority", ErrConfig)
	case !o.IgnoreLog && len(o.Root.RekorLogs()) == 0:
		return nil, fmt.Errorf("%w: the trusted root names no transparency log: only insecure-ignore-tlog goes without", ErrConfig)
	case o.IgnoreLog && len(o.Root.TimestampingAuthorities()) == 0:
		return nil, fmt.Errorf("%w: the trusted root names no timestamp authority, and without a log that says when something was signed one must", ErrConfig)
	case !o.IgnoreSCT && len(o.Root.CTLogs()) == 0:
		return nil, fmt.Errorf("%w: the trusted root names no certificate transparency log: only insecure-ignore-sct goes without", ErrConfig)
	}
	match, err := verify.NewShortCertificateIdentity(o.Issuer, o.IssuerRegexp, o.Identity, o.IdentityRegexp)
	if err != nil {
		return nil, fmt.Errorf("%w: identity: %w", ErrConfig, err)
	}
	i := &identity{options: o, match: match, checking: []verify.VerifierOption{verify.WithoutStatementPredicate()}}
	if o.IgnoreLog {
		i.checking = append(i.checking, verify.WithSignedTimestamps(1))
	} else {
		i.checking = append(i.checking, verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
	}
	if !o.IgnoreSCT {
		i.checking = append(i.checking, verify.WithSignedCertificateTimestamps(1))
	}
	return i, nil
}

func (i *identity) String() string {
	return fmt.Sprintf("%s (issuer %s)", text(i.options.Identity, i.options.IdentityRegexp), text(i.options.Issuer, i.options.IssuerRegexp))
}

// text is a value, and the expression where there is one.
func text(value, expression string) string {
	switch {
	case expression == "":
		return value
	case value == "":
		return "~" + expression
	}
	return value + " ~" + expression
}

func (i *identity) Skips() []string {
	var skipped []string
	if i.options.IgnoreLog {
		skipped = append(skipped, "transparency log: insecure-ignore-tlog is set")
	}
	if i.options.IgnoreSCT {
		skipped = append(skipped, "certificate transparency (SCT): insecure-ignore-sct is set")
	}
	return skipped
}

func (i *identity) accept(s *signed) (acceptance, error) {
	entity, err := s.certified()
	if err != nil {
		return acceptance{}, err
	}
	trusted := i.options.Root
	if s.item.Form == ClassicAttestation {
		trusted = stamped{trusted, s.envelope}
	}
	verifier, err := verify.NewVerifier(trusted, i.checking...)
	if err != nil {
		return acceptance{}, err
	}
	result, err := verifier.Verify(entity, verify.NewPolicy(s.artifact(), verify.WithCertificateIdentity(i.match)))
	if err != nil {
		return acceptance{}, err
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return acceptance{}, errors.New("no certificate was verified")
	}
	c := result.Signature.Certificate
	return acceptance{
		by: fmt.Sprintf("%s (issuer %s)", c.SubjectAlternativeName, c.Issuer),
		at: seen(result.VerifiedTimestamps),
	}, nil
}
