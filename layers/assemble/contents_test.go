package assemble

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/sbom"
)

func TestSBOMListsEveryFile(t *testing.T) {
	o := options(t, nil)
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := r.nodes[1]
	data, err := n.spdx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := sbom.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	named := make(map[string]bool)
	for _, p := range doc.Packages {
		for _, f := range p.Files {
			named[f.FileName] = true
		}
	}
	for _, f := range doc.Files {
		named[f.FileName] = true
	}
	for _, want := range []string{"./usr/bin/run", "./usr/bin/tool", "./etc/passwd"} {
		if !named[want] {
			t.Errorf("the SBOM has no %s: %v", want, named)
		}
	}
}

func TestPlan(t *testing.T) {
	o := options(t, nil)
	p, err := NewPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Images) != 2 || p.Images[0].Cached || p.Images[1].Parent != "base-debian" {
		t.Fatalf("%+v", p)
	}
	mustRun(t, o)
	if p, err = NewPlan(o); err != nil || !p.Images[0].Cached || !p.Images[1].Cached {
		t.Fatalf("%+v %v", p, err)
	}
	var tree, chart, object bytes.Buffer
	if err := errors.Join(p.Tree(&tree), p.Mermaid(&chart), p.JSON(&object)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(tree.String(), "\n")
	if !strings.HasPrefix(lines[0], "base-debian  1.0-") || !strings.HasPrefix(lines[1], "  service  2.5-") || !strings.HasSuffix(lines[1], "cached") {
		t.Errorf("%s", tree.String())
	}
	if !strings.Contains(chart.String(), "n0 --> n1") {
		t.Errorf("%s", chart.String())
	}
	var again Plan
	if err := json.Unmarshal(object.Bytes(), &again); err != nil || !cmp.Equal(*p, again) {
		t.Errorf("%v %s", err, object.String())
	}
}

func readBlob(t *testing.T, dir, digest string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:")))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func layoutIndex(t *testing.T, dir string) ocispec.Index {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	return index
}

func tagsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	tags := make(map[string]bool)
	for _, d := range layoutIndex(t, dir).Manifests {
		tags[d.Annotations[ocispec.AnnotationRefName]] = true
	}
	return tags
}

// readManifest reads a manifest by digest, or that of latest-debian.
func readManifest(t *testing.T, dir, digest string) ocispec.Manifest {
	t.Helper()
	if digest == "" {
		for _, d := range layoutIndex(t, dir).Manifests {
			if d.Annotations[ocispec.AnnotationRefName] == "latest-debian" {
				digest = d.Digest.String()
			}
		}
	}
	var m ocispec.Manifest
	readBlob(t, dir, digest, &m)
	return m
}

func layerPaths(t *testing.T, dir string, m ocispec.Manifest) map[string]bool {
	t.Helper()
	paths := make(map[string]bool)
	for _, l := range m.Layers {
		data, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", l.Digest.Encoded()))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			paths[h.Name] = true
		}
	}
	return paths
}
