package keyless_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/shudl/shudl-assemble/layers/keyless"
)

// signedFile is a file of a TUF repository that can be signed.
type signedFile interface {
	Sign(signature.Signer) (*metadata.Signature, error)
	ToFile(name string, pretty bool) error
}

// repository makes a TUF repository, signed by one key, that holds a world's
// signing config and trusted root under the names that Sigstore's has.
func repository(t *testing.T, w *world) *tuf.Options {
	t.Helper()
	dir, tomorrow := t.TempDir(), time.Now().Add(24*time.Hour)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := must(signature.LoadSigner(private, crypto.Hash(0)))
	targets := metadata.Targets(tomorrow)
	for name, path := range map[string]string{
		"signing_config.v0.2.json": w.signingConfig(true, true), "trusted_root.json": w.trustedRoot(),
	} {
		target := must(metadata.TargetFile().FromFile(path, "sha256"))
		target.Path = name
		targets.Signed.Targets[name] = target
		stored := filepath.Join(dir, "targets", target.Hashes["sha256"].String()+"."+name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(stored), 0o755), os.WriteFile(stored, must(os.ReadFile(path)), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, stamp, keys := metadata.Snapshot(tomorrow), metadata.Timestamp(tomorrow), metadata.Root(tomorrow)
	key := must(metadata.KeyFromPublicKey(private.Public()))
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		if err := keys.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range map[string]signedFile{
		"1.targets.json": targets, "1.snapshot.json": snapshot, "timestamp.json": stamp, "1.root.json": keys,
	} {
		must(file.Sign(signer))
		if err := file.ToFile(filepath.Join(dir, name), false); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return &tuf.Options{
		Root: must(os.ReadFile(filepath.Join(dir, "1.root.json"))), RepositoryBaseURL: server.URL, CachePath: t.TempDir(),
	}
}

// Where no files are named, TUF brings them.
func TestFilesByTUF(t *testing.T) {
	w := newWorld(t)
	o := keyless.Options{TUF: repository(t, w), Token: token(who)}
	s, err := keyless.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bundle(t.Context(), statement(t)); err != nil {
		t.Error(err)
	}
	o.TUF = repository(t, w)
	o.TUF.Root = bytes.Replace(o.TUF.Root, []byte(`"sig":"`), []byte(`"sig":"00`), 1)
	if _, err := keyless.New(t.Context(), o); !errors.Is(err, keyless.ErrConfig) {
		t.Errorf("a root that is not signed: %v", err)
	}
}
