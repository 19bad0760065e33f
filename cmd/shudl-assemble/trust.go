package main

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/layers/verify/policy"
)

// trustFlags say who may have signed an image. Their names are cosign's.
type trustFlags struct {
	key, policy          string
	identity, identities string
	issuer, issuers      string
	root                 string
	ignoreLog, ignoreSCT bool
}

func (f *trustFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "public key `FILE` in PEM, or env://NAME (default: that of the user's own key)")
	flags.StringVar(&f.identity, "certificate-identity", "", "`IDENTITY` in the signer's certificate: a workflow's address, or an e-mail address")
	flags.StringVar(&f.identities, "certificate-identity-regexp", "", "`EXPRESSION` that the identity matches, anywhere: write ^ and $")
	flags.StringVar(&f.issuer, "certificate-oidc-issuer", "", "`URL` of the OpenID Connect issuer that vouched for the identity")
	flags.StringVar(&f.issuers, "certificate-oidc-issuer-regexp", "", "`EXPRESSION` that the issuer matches")
	flags.StringVar(&f.root, "trusted-root", "", "`FILE` with the certificate authorities and logs to trust, as cosign trusted-root create writes it")
	flags.StringVar(&f.policy, "policy", "", "`FILE` that says for each image who may have signed it, and more")
	flags.BoolVar(&f.ignoreLog, "insecure-ignore-tlog", false, "take a signature that is in no transparency log, if it has a signed timestamp")
	flags.BoolVar(&f.ignoreSCT, "insecure-ignore-sct", false, "take a certificate that is in no certificate transparency log")
}

// rules reads the flags.
func (f *trustFlags) rules() (verify.Rules, error) {
	keyless := f.identity != "" || f.identities != "" || f.issuer != "" || f.issuers != ""
	switch {
	case f.policy != "" && (keyless || f.key != ""):
		return nil, usage(errors.New("--policy says who may sign: leave out --key and --certificate-…"))
	case f.policy != "" && (f.root != "" || f.ignoreLog || f.ignoreSCT):
		return nil, usage(errors.New("--policy names the trusted root and what may be ignored: leave out --trusted-root and --insecure-…"))
	case f.policy != "":
		p, err := policy.Open(f.policy)
		if err != nil {
			return nil, usage(fmt.Errorf("--policy: %w", err))
		}
		return p.Rule, nil
	case keyless && f.key != "":
		return nil, usage(errors.New("--key and --certificate-…: name one, or both in a policy"))
	case !keyless && (f.root != "" || f.ignoreLog || f.ignoreSCT):
		return nil, usage(errors.New("--trusted-root and --insecure-… are for signers with a certificate: add --certificate-identity and --certificate-oidc-issuer, or leave them out: a key needs neither"))
	}
	signer, err := f.signer(keyless)
	if err != nil {
		return nil, err
	}
	return verify.Always(verify.Rule{Signers: trust.Signers{signer}}), nil
}

func (f *trustFlags) signer(keyless bool) (trust.Signer, error) {
	if !keyless {
		public, err := publicKey(f.key)
		if err != nil {
			return nil, err
		}
		return trust.Key(public)
	}
	if f.root == "" {
		return nil, usage(errors.New("--certificate-…: give --trusted-root too (`cosign trusted-root create` makes one)"))
	}
	if f.identity == "" && f.identities == "" || f.issuer == "" && f.issuers == "" {
		return nil, usage(errors.New("give both --certificate-identity and --certificate-oidc-issuer, or their -regexp forms"))
	}
	root, err := trust.ReadRoot(f.root)
	if err != nil {
		return nil, usage(fmt.Errorf("--trusted-root: %w", err))
	}
	signer, err := trust.Identity(trust.IdentityOptions{
		Identity: f.identity, IdentityRegexp: f.identities, Issuer: f.issuer, IssuerRegexp: f.issuers,
		Root: root, IgnoreLog: f.ignoreLog, IgnoreSCT: f.ignoreSCT,
	})
	return signer, usage(err)
}

// publicKey reads a public key, the user's own where none is named.
func publicKey(path string) (crypto.PublicKey, error) {
	own := ""
	if path == "" {
		dir, err := attest.UserKeyDir()
		if err != nil {
			return nil, err
		}
		own = filepath.Join(dir, attest.PublicKeyFile)
		path = own
	}
	public, err := attest.LoadPublicKey(path)
	if path == own && errors.Is(err, fs.ErrNotExist) {
		return nil, usage(fmt.Errorf("this user has no signing key yet (%s): name who signed by --key FILE, --certificate-identity or --policy", own))
	}
	if err != nil {
		return nil, usage(fmt.Errorf("--key: %w", err))
	}
	return public, nil
}
