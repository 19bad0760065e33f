package apk

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// listed are the fingerprints of the keys that sign Alpine's repositories:
// the SHA-256 of the DER form of each public key, by architecture, as the
// alpine-keys package has them. A key that is not here counts only where the
// user names its folder.
var listed = map[string][]string{
	"x86_64": {
		"4e0c26751a474db486b0a8f37e37ff02e12465e8cea8ef08614ac173cb870f28", // 4a6a0840, until 3.16
		"bb1f0937c138e81a838e0958c4c756547dac85794e38bf1a5536a0808dcf95f2", // 5261cecb, until 3.16
		"8a70fc55f1a6fb2a392ad5a3e71aff82a637b2b33659c046f6b6a909bb5d1ab7", // 6165ee59
	},
	"aarch64": {
		"635a0325ac8c11ec329698586cd2a8e54c18ba376d5d4bc215a489e1a774fb88", // 58199dcc, until 3.16
		"479f16f4170a9ea0c65e1de854860949b1a549cfa1f43552f7a2e821c9e2f409", // 616ae350
	},
}

// Key is a public key that may sign an index.
type Key struct {
	// Name is the key's file name, which signatures call it by.
	Name        string
	Public      *rsa.PublicKey
	Fingerprint string
}

// maxKey bounds a key file.
const maxKey = 64 << 10

// keySuffix is what the file of a public key is named with.
const keySuffix = ".rsa.pub"

// ParseKey reads a PEM public key.
func ParseKey(name string, data []byte) (Key, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return Key{}, fmt.Errorf("key %s: no PEM public key", name)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("key %s: %w", name, err)
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return Key{}, fmt.Errorf("key %s: not an RSA key", name)
	}
	sum := sha256.Sum256(block.Bytes)
	return Key{name, public, hex.EncodeToString(sum[:])}, nil
}

// Listed says whether the key is one of Alpine's own for an architecture.
func (k Key) Listed(arch string) bool {
	for _, fingerprint := range listed[arch] {
		if k.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}

// readKeys reads the public keys of a folder; one that does not exist holds
// none.
func readKeys(dir string) ([]Key, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	var keys []Key
	for _, n := range names {
		if !strings.HasSuffix(n.Name(), keySuffix) {
			continue
		}
		file := filepath.Join(dir, n.Name())
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() || info.Size() > maxKey {
			return nil, fmt.Errorf("keyring: %s is no key file of a sensible size", file)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("keyring: %w", err)
		}
		key, err := ParseKey(n.Name(), data)
		if err != nil {
			return nil, fmt.Errorf("keyring %s: %w", dir, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// isKeyPath says whether a path of a root file system is one of its keys.
func isKeyPath(p string) bool {
	dir := path.Dir(p)
	return strings.HasSuffix(p, keySuffix) &&
		(dir == "etc/apk/keys" || dir == "usr/share/apk/keys" || path.Dir(dir) == "usr/share/apk/keys")
}
