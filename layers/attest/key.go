package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// ErrPassword says that a private key did not open with the password given.
var ErrPassword = errors.New("the key does not open with this password: set COSIGN_PASSWORD to the one that it was made with, or run on a terminal to be asked for it")

// envPrefix begins a key that lies in an environment variable, as with
// cosign.
const envPrefix = "env://"

// LoadKey reads a private key as `cosign generate-key-pair` writes it, from a
// file or, as env://NAME, from an environment variable. The scrypt that guards
// it takes a tenth of a second: load a key once.
func LoadKey(path string, password []byte) (*Key, error) {
	data, err := readKey(path)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(data, password)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	key.Path = path
	return key, nil
}

// readKey reads the PEM of a private or public key.
func readKey(path string) ([]byte, error) {
	if name, ok := strings.CutPrefix(path, envPrefix); ok {
		value := os.Getenv(name)
		if value == "" {
			return nil, fmt.Errorf("key %s: the variable is empty or not set", path)
		}
		return []byte(value), nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return data, nil
}

// ParseKey reads a private key from its PEM form.
func ParseKey(data, password []byte) (*Key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block: want the private key that `cosign generate-key-pair` makes")
	}
	if block.Type != cosign.SigstorePrivateKeyPemType && block.Type != cosign.CosignPrivateKeyPemType {
		return nil, fmt.Errorf("PEM block %q: want %q; `cosign import-key-pair` converts other keys",
			block.Type, cosign.SigstorePrivateKeyPemType)
	}
	der, err := encrypted.Decrypt(block.Bytes, password)
	if err != nil {
		return nil, ErrPassword
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%T: only ECDSA keys are supported, which is what cosign makes", parsed)
	}
	return NewKey(private)
}

// GenerateKey makes a key pair in cosign's format.
func GenerateKey(password []byte) (private, public []byte, err error) {
	pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return password, nil })
	if err != nil {
		return nil, nil, fmt.Errorf("make a key pair: %w", err)
	}
	return pair.PrivateBytes, pair.PublicBytes, nil
}

// LoadPublicKey reads a public key in PEM form, from a file or env://NAME.
func LoadPublicKey(path string) (crypto.PublicKey, error) {
	data, err := readKey(path)
	if err != nil {
		return nil, err
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w: want the .pub file that goes with the signing key", path, err)
	}
	return public, nil
}
