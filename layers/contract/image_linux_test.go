package contract_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/contract/unpack"
	"github.com/shudl/shudl-assemble/recipes"
)

// member is one file or folder of a layer.
type member struct {
	tar.Header
	content []byte
}

// rootfs is the smallest file system in which this very binary runs, as
// service and as env: with the loader and the libraries that this process is
// running with, where it needs any.
var rootfs = sync.OnceValues(func() ([]member, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	files := map[string]string{"bin/service": self}
	loader, err := interpreter(self)
	if err != nil {
		return nil, err
	}
	if loader != "" {
		files[strings.TrimPrefix(loader, "/")] = loader
		libraries, err := mapped()
		if err != nil {
			return nil, err
		}
		for _, l := range libraries {
			files["lib/"+path.Base(l)] = l
		}
	}
	var out []member
	for name, source := range files {
		content, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		out = append(out, member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755}, content})
	}
	slices.SortFunc(out, func(a, b member) int { return strings.Compare(a.Name, b.Name) })
	passwd := []byte("root:x:0:0::/root:/\nservice:x:1000:1000::/home/service:/\n")
	return append(out,
		member{tar.Header{Typeflag: tar.TypeLink, Name: "usr/bin/env", Linkname: "bin/service"}, nil},
		member{tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, passwd},
		member{tar.Header{Typeflag: tar.TypeDir, Name: "tmp", Mode: 0o1777}, nil},
		member{tar.Header{Typeflag: tar.TypeDir, Name: "data", Mode: 0o700, Uid: 1000, Gid: 1000}, nil},
	), nil
})

// interpreter is the loader that a program names; empty for a static one.
func interpreter(file string) (string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, p.Filesz)
			_, err := p.ReadAt(name, 0)
			return strings.TrimRight(string(name), "\x00"), err
		}
	}
	return "", nil
}

// mapped lists the libraries that this process has mapped.
func mapped() ([]string, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 5 && strings.Contains(path.Base(fields[5]), ".so") && !slices.Contains(out, fields[5]) {
			out = append(out, fields[5])
		}
	}
	return out, nil
}

// layerOf packs members into a layer file.
func layerOf(t *testing.T, members []member) unpack.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		m.Size = int64(len(m.content))
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	hex := recipes.Digest(hex.EncodeToString(sum[:]))
	file := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return unpack.Layer{File: file, Digest: hex, DiffID: hex, Size: int64(b.Len())}
}

// source gives the image under test for every recipe: the root file system,
// and more members.
func source(t *testing.T, more ...member) contract.Source {
	t.Helper()
	base, err := rootfs()
	if err != nil {
		t.Fatal(err)
	}
	l := layerOf(t, append(slices.Clone(base), more...))
	config, err := json.Marshal(map[string]any{
		"config": map[string]any{
			"User": "1000:1000", "Entrypoint": []string{"/bin/service"}, "Cmd": []string{"serve"}, "WorkingDir": "/data",
			"Env": []string{"PATH=/bin", "LD_LIBRARY_PATH=/lib", "PORT=8080", "DATA=/data"}, "Volumes": map[string]any{"/data": map[string]any{}},
			"Healthcheck": map[string]any{"Test": []string{"CMD", "service", "health"}, "Timeout": 5 * time.Second},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + string(l.DiffID)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, recipe *recipes.Image) (contract.Image, error) {
		i, err := contract.Describe(digest.FromString(recipe.Name), config)
		i.Layers[0] = l
		return i, err
	}
}
