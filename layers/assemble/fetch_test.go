package assemble

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// A mirror that has moved on keeps an old list under its hash for a while;
// one that it has nowhere any more is told of and left out.
func TestFetchOldIndexes(t *testing.T) {
	const list = "dists/trixie/main/binary-amd64/Packages.xz"
	old := []byte("the list of last week")
	sum := sha256.Sum256(old)
	mirror := t.TempDir()
	for path, content := range map[string][]byte{
		list: []byte("the list of this week"),
		filepath.Join(filepath.Dir(list), "by-hash/SHA256", hex.EncodeToString(sum[:])): old,
	} {
		path = filepath.Join(mirror, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := options(t, nil)
	mirrors, err := fetch.Discover(fetch.DiscoverOptions{Flags: map[string]string{fetch.Debian: "file:" + mirror}})
	if err != nil {
		t.Fatal(err)
	}
	o.Fetcher.Mirrors = mirrors
	o.Fetcher.Offline = true // file: mirrors only
	kept := recipes.LockedIndex{Archive: fetch.Debian, Path: list, SHA256: recipes.Digest(hex.EncodeToString(sum[:])), Size: int64(len(old))}
	lost := kept
	lost.SHA256 = recipes.Digest(strings.Repeat("0", 64))
	o.Lock.Indexes = []recipes.LockedIndex{kept, lost}

	got, err := Fetch(t.Context(), o, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Files) != 1 || got.Files[0].SHA256 != kept.SHA256 {
		t.Errorf("fetched %+v", got.Files)
	}
	if len(got.Gone) != 1 || !strings.Contains(got.Gone[0].Error(), list) {
		t.Errorf("gone: %v", got.Gone)
	}
}
