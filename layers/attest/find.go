package attest

import (
	"context"
	"fmt"
	"path/filepath"
)

// KeyOptions says which key signs.
type KeyOptions struct {
	// Path is the private key that the user named; empty means the user's
	// own key, made on first use.
	Path string
	// Password opens it. It is COSIGN_PASSWORD, and empty where that is not
	// set.
	Password []byte
	// Destination is where the images go, for messages; Local says that it
	// is a layout or a loopback registry. Any other needs a Path.
	Destination string
	Local       bool
	// Dir holds the user's own key; empty means UserKeyDir.
	Dir string
	// Say receives the one line that tells of a key that was made.
	Say func(format string, args ...any)
}

// FindKey returns the key that signs for a destination. The error is
// ErrKeyRequired where the user has to name one.
func FindKey(ctx context.Context, o KeyOptions) (*Key, error) {
	if o.Path != "" {
		return LoadKey(o.Path, o.Password)
	}
	if !o.Local {
		return nil, fmt.Errorf("%s: %w: the key made on first use signs only for oci: folders and loopback registries; "+
			"name one with --key (`cosign generate-key-pair` makes it)", o.Destination, ErrKeyRequired)
	}
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = UserKeyDir(); err != nil {
			return nil, err
		}
	}
	key, made, err := UserKey(ctx, dir, o.Password)
	if err != nil {
		return nil, err
	}
	if made && o.Say != nil {
		o.Say("made a signing key, good for this machine: %s (id %s; verify with %s)",
			key.Path, key.ID(), filepath.Join(dir, PublicKeyFile))
	}
	return key, nil
}
