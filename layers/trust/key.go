package trust

import (
	"crypto"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// key is the holder of a private key.
type key struct {
	id       string
	verifier *verify.Verifier
}

// Key trusts whoever holds the private half of a public key. A signature by
// it needs no certificate, log or timestamp.
func Key(public crypto.PublicKey) (Signer, error) {
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrConfig, err)
	}
	id, err := attest.KeyID(public)
	if err != nil {
		return nil, err
	}
	always := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	// Which key a bundle hints at does not matter: there is one.
	keys := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return always, nil })
	v, err := verify.NewVerifier(keys, verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate())
	if err != nil {
		return nil, err
	}
	return &key{id, v}, nil
}

func (k *key) String() string { return "key " + k.id }

func (k *key) Skips() []string { return []string{"transparency log: a key is trusted without one"} }

func (k *key) accept(s *signed) (acceptance, error) {
	_, err := k.verifier.Verify(s.keyed(), verify.NewPolicy(s.artifact(), verify.WithKey()))
	if err != nil {
		return acceptance{}, fmt.Errorf("not by %s", k)
	}
	return acceptance{by: k.String()}, nil
}
