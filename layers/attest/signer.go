package attest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/sigstore/sigstore/pkg/signature"
)

// Signer signs bytes. A key does it here; an identity from a certificate
// authority would do it in the same place, which is why it takes a context.
type Signer interface {
	// Sign returns the signature of the sha256 of message (ASN.1 DER for
	// ECDSA).
	Sign(ctx context.Context, message []byte) ([]byte, error)
	// Public is the key that verifies what Sign returns.
	Public() crypto.PublicKey
	// ID is the short name of the key, as a person compares it.
	ID() string
}

// Key is a private ECDSA key that signs by RFC 6979: the same message has the
// same signature.
type Key struct {
	private *ecdsa.PrivateKey
	id      string
	// Path is the file that the key came from, for messages.
	Path string
}

// NewKey wraps a private key.
func NewKey(private *ecdsa.PrivateKey) (*Key, error) {
	id, err := KeyID(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Key{private: private, id: id}, nil
}

// Sign signs the sha256 of message.
func (k *Key) Sign(_ context.Context, message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	// Without a source of randomness the nonce comes from key and message.
	return k.private.Sign(nil, sum[:], crypto.SHA256)
}

// Public returns the public half.
func (k *Key) Public() crypto.PublicKey { return &k.private.PublicKey }

// ID returns the short key id.
func (k *Key) ID() string { return k.id }

// KeyID is the first 16 hexadecimal digits of the sha256 of a public key in
// its DER form (PKIX).
func KeyID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:8]), nil
}

// sigstoreSigner lets the sigstore libraries sign with a Signer.
type sigstoreSigner struct {
	ctx    context.Context
	signer Signer
}

var _ signature.Signer = sigstoreSigner{}

func (s sigstoreSigner) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return s.signer.Public(), nil
}

func (s sigstoreSigner) SignMessage(message io.Reader, _ ...signature.SignOption) ([]byte, error) {
	b, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	return s.signer.Sign(s.ctx, b)
}

// ErrKeyRequired says that a destination wants a key that the user named.
var ErrKeyRequired = errors.New("a signing key is required")
