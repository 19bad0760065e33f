package main

import (
	"context"
	"os"

	"github.com/spf13/pflag"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// signFlags say who signs, and in which form.
type signFlags struct {
	key, format string
}

func (f *signFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "private key `FILE` in cosign's format, or env://NAME, opened with COSIGN_PASSWORD (default: the user's own, made on first use, for folders and loopback registries only)")
	flags.StringVar(&f.format, "sign-format", string(attest.Dual), "what signatures and attestations are written as: classic (cosign's .sig and .att tags), bundle (sigstore bundles as referrers) or dual (both)")
}

// signing is who signs for a destination, and in which form.
type signing struct {
	signer attest.Signer
	format attest.Format
}

// find reads the flags and opens the key, before anything is resolved or
// fetched.
func (f *signFlags) find(ctx context.Context, a *app, dest publish.Destination) (signing, error) {
	format, err := attest.ParseFormat(f.format)
	if err != nil {
		return signing{}, usage(err)
	}
	options := attest.KeyOptions{Path: f.key, Destination: dest.String(), Local: dest.Local(), Say: a.sink.Say}
	if password, ok := os.LookupEnv("COSIGN_PASSWORD"); ok {
		options.Password = []byte(password)
	} else if terminal(os.Stdin) {
		options.Ask = askPassword
	}
	key, err := attest.FindKey(ctx, options)
	if err != nil {
		return signing{}, err
	}
	return signing{signer: key, format: format}, nil
}
