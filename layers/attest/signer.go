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
)

// Signer signs what is said of images: a Key, or an identity that a
// certificate authority vouches for.
type Signer interface {
	// ID says who signs, as a person compares it: the short id of a key, or
	// the identity in a certificate.
	ID() string
	// Repeats says that the same statement has the same signature at any
	// time. Without it, what is there already must be looked for.
	Repeats() bool
	// Bundle signs an in-toto statement.
	Bundle(ctx context.Context, statement []byte) (*Bundle, error)
	// Attestation is the classic form of a bundle that this signer made.
	Attestation(ctx context.Context, bundle *Bundle) (Item, error)
	// Signature is the classic signature of a payload, as Payload makes it.
	Signature(ctx context.Context, payload []byte) (Item, error)
	// Signed says whether this signer signed an item with its content,
	// classic or bundle, whatever it is about.
	Signed(item Item) bool
}

// Key is a private ECDSA key that signs by RFC 6979: the same message has the
// same signature.
type Key struct {
	private  func() (*ecdsa.PrivateKey, error)
	public   *ecdsa.PublicKey
	verifier *Verifier
	// Path is the file that the key came from, for messages.
	Path string
}

var _ Signer = (*Key)(nil)

// NewKey wraps a private key.
func NewKey(private *ecdsa.PrivateKey) (*Key, error) {
	return newKey(&private.PublicKey, func() (*ecdsa.PrivateKey, error) { return private, nil })
}

func newKey(public *ecdsa.PublicKey, private func() (*ecdsa.PrivateKey, error)) (*Key, error) {
	verifier, err := NewVerifier(public)
	if err != nil {
		return nil, err
	}
	return &Key{private: private, public: public, verifier: verifier}, nil
}

// Open makes sure that the key can sign, which is not known before of one that
// FindKey gave by its public half.
func (k *Key) Open() error {
	_, err := k.private()
	return err
}

// Sign returns the signature of the sha256 of message, in ASN.1 DER.
func (k *Key) Sign(_ context.Context, message []byte) ([]byte, error) {
	private, err := k.private()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(message)
	// Without a source of randomness the nonce comes from key and message.
	return private.Sign(nil, sum[:], crypto.SHA256)
}

// Public returns the public half.
func (k *Key) Public() crypto.PublicKey { return k.public }

// ID returns the short key id.
func (k *Key) ID() string { return k.verifier.ID() }

// Repeats is true.
func (k *Key) Repeats() bool { return true }

// Bundle signs a statement. The statement in the bundle has no predicate.
func (k *Key) Bundle(ctx context.Context, statement []byte) (*Bundle, error) {
	return k.bundle(ctx, statement)
}

// Attestation needs nothing but the envelope.
func (k *Key) Attestation(_ context.Context, b *Bundle) (Item, error) {
	return AttestationItem(b.Statement.PredicateType, b.Envelope), nil
}

// Signature signs a payload.
func (k *Key) Signature(ctx context.Context, payload []byte) (Item, error) {
	signature, err := k.Sign(ctx, payload)
	if err != nil {
		return Item{}, fmt.Errorf("sign with key %s: %w", k.ID(), err)
	}
	return SignatureItem(payload, signature), nil
}

// Signed checks with the public half.
func (k *Key) Signed(item Item) bool { return k.verifier.Signed(item) }

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

// ErrKeyRequired says that a destination wants a key that the user named.
var ErrKeyRequired = errors.New("a signing key is required")
