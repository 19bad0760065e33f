package attest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// The files of the key that is made on first use, in UserKeyDir.
const (
	PrivateKeyFile = "cosign.key"
	PublicKeyFile  = "cosign.pub"
)

// UserKeyDir is the folder of the user's own key: shudl-assemble in the
// user's config folder.
func UserKeyDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("folder of the signing key: %w: name a key with --key", err)
	}
	return filepath.Join(dir, "shudl-assemble"), nil
}

// UserKey returns the key pair in dir and makes it where there is none, with
// mode 0600. Two processes that ask at once get the same key; made tells the
// one that made it. Such a key says who built, not who vouches: it is good for
// layouts and loopback registries only.
func UserKey(ctx context.Context, dir string, password []byte) (key *Key, made bool, err error) {
	path := filepath.Join(dir, PrivateKeyFile)
	if _, err := os.Stat(path); err == nil {
		key, err := LoadKey(path, password)
		return key, false, err
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("signing key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("folder of the signing key: %w", err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, false, fmt.Errorf("signing key: wait for another process: %w", err)
	}
	defer lock.Close()
	if _, err := os.Stat(path); err == nil {
		key, err := LoadKey(path, password)
		return key, false, err
	}
	if err := writePair(dir, password); err != nil {
		return nil, false, err
	}
	key, err = LoadKey(path, password)
	return key, err == nil, err
}

// writePair writes the public half first: whoever sees the private one finds
// both.
func writePair(dir string, password []byte) error {
	private, public, err := GenerateKey(password)
	if err != nil {
		return err
	}
	// Not in the temporary folder first, which is not the user's own.
	write := func(name string, content []byte) error {
		return renameio.WriteFile(filepath.Join(dir, name), content, 0o600, renameio.IgnoreUmask(), renameio.WithTempDir(dir))
	}
	if err := write(PublicKeyFile, public); err != nil {
		return fmt.Errorf("write the public key: %w", err)
	}
	if err := write(PrivateKeyFile, private); err != nil {
		return fmt.Errorf("write the signing key: %w", err)
	}
	return nil
}
