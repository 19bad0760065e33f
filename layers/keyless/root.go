package keyless

import (
	"context"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
)

// material reads the signing config and the trusted root.
func material(ctx context.Context, o Options) (*root.SigningConfig, root.TrustedMaterial, error) {
	switch {
	case o.SigningConfig == "" && o.TrustedRoot == "":
		options := tuf.DefaultOptions()
		if o.TUF != nil {
			options = o.TUF
		}
		return public(options.WithContext(ctx))
	case o.SigningConfig == "" || o.TrustedRoot == "":
		return nil, nil, fmt.Errorf("%w: a signing config and a trusted root go together: what one's services sign, the other's readers must trust", ErrConfig)
	}
	config, err := root.NewSigningConfigFromPath(o.SigningConfig)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: signing config %s: %w: `cosign signing-config create` makes one", ErrConfig, o.SigningConfig, err)
	}
	trusted, err := root.NewTrustedRootFromPath(o.TrustedRoot)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: trusted root %s: %w: `cosign trusted-root create` makes one", ErrConfig, o.TrustedRoot, err)
	}
	return config, trusted, nil
}

// public fetches both from a TUF repository: Sigstore's public instance, whose
// root keys are in the library.
func public(o *tuf.Options) (*root.SigningConfig, root.TrustedMaterial, error) {
	client, err := tuf.New(o)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: trust of Sigstore's public instance, by TUF: %w: "+
			"without it, name a signing config and a trusted root", ErrConfig, err)
	}
	config, err := root.GetSigningConfig(client)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: signing config of Sigstore's public instance: %w", ErrConfig, err)
	}
	trusted, err := root.GetTrustedRoot(client)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: trusted root of Sigstore's public instance: %w", ErrConfig, err)
	}
	return config, trusted, nil
}
