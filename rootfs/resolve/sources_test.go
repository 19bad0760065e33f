package resolve

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Each recipe's own sha256 of an archive counts, also where another names the
// same archive.
func TestEveryRecipesSHA256Counts(t *testing.T) {
	dir, extra := t.TempDir(), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/alpine")); err != nil {
		t.Fatal(err)
	}
	content := []byte("an archive")
	if err := os.WriteFile(filepath.Join(extra, "a.tar"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	good := hex.EncodeToString(sum[:])
	for name, digest := range map[string]string{"one": good, "two": strings.Repeat("0", 64)} {
		text := "name: " + name + "\nsummary: An archive\nfrom: base\ndistros: [alpine]\nversion: \"1\"\nlayers:\n  - name: archive\n" +
			"    tarballs: [{name: a, version: \"1\", license: MIT, archive: extra, path: a.tar, sha256: " + digest + "}]\n"
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "recipe.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := recipes.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := alpineOptions(t, shared(t))
	o.Fetcher.Mirrors["extra"] = []string{"file:" + extra}
	_, err = Lock(t.Context(), set, nil, recipes.Alpine, o)
	var mismatch *fetch.MismatchError
	if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "image two") {
		t.Errorf("error: %v", err)
	}
}
