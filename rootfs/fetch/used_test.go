package fetch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTouchVouchesForNoOtherBytes: a file that somebody writes to while the time
// of its use is renewed is not taken for the one that was hashed.
func TestTouchVouchesForNoOtherBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "object")
	if err := os.WriteFile(path, []byte("as hashed"), 0o644); err != nil {
		t.Fatal(err)
	}
	renewed := 0
	for range 2000 {
		old := time.Now().Add(-2 * touchAfter)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		seen, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		wrote := make(chan error)
		go func() { wrote <- os.WriteFile(path, []byte("otherwise"), 0o644) }()
		got := touch(path, seen)
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if !sameFile(seen, got) {
			t.Fatalf("%d bytes of %s are vouched for, and %d of %s were hashed", got.Size(), got.ModTime(), seen.Size(), seen.ModTime())
		}
		if got != seen {
			renewed++
		}
	}
	t.Logf("%d of 2000 were renewed before they were written to", renewed)
}
