package fetch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Record gives a small fact that was derived from objects: what an archive
// holds, which blob a layer key led to. A record that is torn, or was written
// for another key, counts as missing.
func (s *Store) Record(kind, key string) ([]byte, bool) {
	path, err := s.recordPath(kind, key)
	if err != nil {
		return nil, false
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	sum, data, found := bytes.Cut(content, []byte{'\n'})
	if !found || string(sum) != recordSum(kind, key, data) {
		return nil, false
	}
	if info, err := os.Stat(path); err == nil {
		touch(path, info)
	}
	return data, true
}

// SetRecord keeps a fact for Record. It replaces one of the same key whole;
// readers see the old or the new. It is not synced: a record that a crash
// tears is missing, and is derived again.
func (s *Store) SetRecord(kind, key string, data []byte) error {
	path, err := s.recordPath(kind, key)
	if err != nil {
		return err
	}
	if err := s.folder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	f, err := s.temporary("record-")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	_, err = f.WriteString(recordSum(kind, key, data) + "\n")
	if err == nil {
		_, err = f.Write(data)
	}
	if err := errors.Join(err, f.Chmod(0o444), f.Close()); err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("store: %w", err)
	}
	if err := moveInto(f.Name(), path); err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Remembered gives the fact that a record holds as JSON, or derives and records
// it. A record of which whole says no counts as missing.
func Remembered[T any](s *Store, kind, key string, whole func(*T) bool, derive func() (*T, error)) (*T, error) {
	if data, ok := s.Record(kind, key); ok {
		var fact T
		if json.Unmarshal(data, &fact) == nil && whole(&fact) {
			return &fact, nil
		}
	}
	fact, err := derive()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(fact)
	if err != nil {
		return nil, err
	}
	return fact, s.SetRecord(kind, key, data)
}

func (s *Store) recordPath(kind, key string) (string, error) {
	if !validKind(kind) {
		return "", fmt.Errorf("store: %q is no kind of record: lower-case letters, digits and hyphens", kind)
	}
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, recordsDir, kind, hex.EncodeToString(sum[:])), nil
}

func validKind(kind string) bool {
	for _, c := range kind {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return kind != ""
}

// recordSum covers kind and key too, so that a file that was moved or copied
// to another name is not believed.
func recordSum(kind, key string, data []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n%s\n", kind, len(key), key)
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
