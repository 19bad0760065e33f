package attest

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// KeyOptions says which key signs.
type KeyOptions struct {
	// Path is the private key that the user named; empty means the user's
	// own key, made on first use.
	Path string
	// Password opens it. It is COSIGN_PASSWORD, and empty where that is not
	// set: a key made without a password is encrypted with the empty one.
	Password []byte
	// Ask, where it is set, is asked once for the password of a key that
	// Password does not open.
	Ask func(ctx context.Context, path string) ([]byte, error)
	// Destination is where the images go, for messages; Local says that it
	// is a layout or a loopback registry. Any other needs a Path.
	Destination string
	Local       bool
	// Dir holds the user's own key; empty means UserKeyDir.
	Dir string
	// Late opens the user's own key when it first signs, or is told to Open: a
	// push that changes nothing needs only the public half, which lies beside
	// it. Nobody is asked for a password then.
	Late bool
	// Say receives the one line that tells of a key that was made.
	Say func(format string, args ...any)
}

// FindKey returns the key that signs for a destination. The error is
// ErrKeyRequired where the user has to name one.
func FindKey(ctx context.Context, o KeyOptions) (*Key, error) {
	if o.Path != "" {
		return o.open(ctx, o.Path)
	}
	if !o.Local {
		return nil, fmt.Errorf("%s: %w: the key made on first use signs only for oci: folders and loopback registries; name one with --key",
			o.Destination, ErrKeyRequired)
	}
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = UserKeyDir(); err != nil {
			return nil, err
		}
	}
	if o.Late {
		if key, err := o.late(dir); err == nil {
			return key, nil
		}
	}
	key, made, err := UserKey(ctx, dir, o.Password)
	if errors.Is(err, ErrPassword) {
		return o.open(ctx, filepath.Join(dir, PrivateKeyFile))
	}
	if err != nil {
		return nil, err
	}
	if made && o.Say != nil {
		o.Say("made a signing key, good for this machine: %s (id %s; verify with %s)",
			key.Path, key.ID(), filepath.Join(dir, PublicKeyFile))
	}
	return key, nil
}

// late is the key pair in a folder, by its public half.
func (o KeyOptions) late(dir string) (*Key, error) {
	path, pub := filepath.Join(dir, PrivateKeyFile), filepath.Join(dir, PublicKeyFile)
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	loaded, err := LoadPublicKey(pub)
	if err != nil {
		return nil, err
	}
	public, ok := loaded.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("public key %s: %T: only ECDSA keys are supported", pub, loaded)
	}
	key, err := newKey(public, sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
		key, err := LoadKey(path, o.Password)
		if err != nil {
			return nil, err
		}
		if !key.public.Equal(public) {
			return nil, fmt.Errorf("signing key %s: %s is of another key: remove the one that is wrong", path, pub)
		}
		return key.private()
	}))
	if err != nil {
		return nil, err
	}
	key.Path = path
	return key, nil
}

// open loads a key with the password given, else with the one that the user
// is asked for.
func (o KeyOptions) open(ctx context.Context, path string) (*Key, error) {
	key, err := LoadKey(path, o.Password)
	if !errors.Is(err, ErrPassword) || o.Ask == nil {
		return key, err
	}
	password, err := o.Ask(ctx, path)
	if err != nil {
		return nil, err
	}
	return LoadKey(path, password)
}
