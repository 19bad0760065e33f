package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/keyless"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// signFlags say who signs, and in which form.
type signFlags struct {
	key, format                       string
	keyless                           bool
	signingConfig, trustedRoot, token string
}

func (f *signFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "private key `FILE` in cosign's format, or env://NAME, opened with COSIGN_PASSWORD (default: the user's own, made on first use, for folders and loopback registries only)")
	flags.StringVar(&f.format, "sign-format", string(attest.Dual), "what signatures and attestations are written as: classic (cosign's .sig and .att tags), bundle (sigstore bundles as referrers) or dual (both)")
	flags.BoolVar(&f.keyless, "keyless", false, "sign with an identity instead of a key: that of the job in GitHub Actions, GitLab CI or Kubernetes, or --identity-token")
	flags.StringVar(&f.signingConfig, "signing-config", "", "`FILE` that names the certificate authority, log and timestamp authority for --keyless (default: those of Sigstore's public instance)")
	flags.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with what readers trust, which goes with --signing-config")
	flags.StringVar(&f.token, "identity-token", "", "OpenID Connect `TOKEN` for --keyless, or a file with one")
}

// signing is who signs for a destination, and in which form.
type signing struct {
	signer attest.Signer
	format attest.Format
}

// find reads the flags and opens the key or finds the identity, before
// anything is resolved or fetched.
func (f *signFlags) find(ctx context.Context, a *app, dest publish.Destination) (signing, error) {
	format, err := attest.ParseFormat(f.format)
	if err != nil {
		return signing{}, usage(err)
	}
	switch {
	case f.keyless && f.key != "":
		return signing{}, usage(errors.New("--key and --keyless: sign with the one or the other"))
	case f.keyless:
		return f.findIdentity(ctx, a, format)
	case f.signingConfig != "" || f.trustedRoot != "" || f.token != "":
		return signing{}, usage(errors.New("--signing-config, --trusted-root and --identity-token go with --keyless: add it, or leave them out to sign with a key"))
	}
	options := attest.KeyOptions{Path: f.key, Destination: dest.String(), Local: dest.Local(), Say: a.sink.Say}
	if password, ok := os.LookupEnv("COSIGN_PASSWORD"); ok {
		options.Password = []byte(password)
	} else if terminal(os.Stdin) {
		options.Ask = askPassword
	}
	options.Late = options.Ask == nil
	key, err := attest.FindKey(ctx, options)
	switch {
	case err != nil && f.key != "":
		return signing{}, usage(err)
	case err != nil:
		return signing{}, err
	}
	return signing{signer: key, format: format}, nil
}

// hasKey says whether find opens a key that is there, and makes none.
func (f *signFlags) hasKey() bool {
	if f.keyless || f.key != "" {
		return !f.keyless
	}
	dir, err := attest.UserKeyDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, attest.PrivateKeyFile))
	return err == nil
}

func (f *signFlags) findIdentity(ctx context.Context, a *app, format attest.Format) (signing, error) {
	signer, err := keyless.New(ctx, keyless.Options{SigningConfig: f.signingConfig, TrustedRoot: f.trustedRoot, Token: f.token})
	if err != nil {
		return signing{}, err
	}
	a.sink.Say("signing as %s (issuer %s)", signer.ID(), signer.Issuer())
	if format.Classic() && !signer.Classic() {
		if format == attest.Classic {
			return signing{}, usage(errors.New("--sign-format classic: the signing config names no timestamp authority, " +
				"without which nobody can verify a classic keyless signature: use bundle"))
		}
		a.sink.Say("only bundles are written: the signing config names no timestamp authority, which classic signatures need")
		format = attest.Bundles
	}
	return signing{signer: signer, format: format}, nil
}
