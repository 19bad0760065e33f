// Package attesttest gives tests keys of their own.
package attesttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// NewKey is a fresh key that signs.
func NewKey(t testing.TB) *attest.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := attest.NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
