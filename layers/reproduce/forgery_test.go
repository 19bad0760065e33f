package reproduce_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
)

// forgery is the published service taken apart, to be changed and published
// under another tag with the provenance of the original: what somebody could
// do who holds the key and not the source.
type forgery struct {
	scene
	repo      publish.Repository
	manifest  ocispec.Manifest
	config    map[string]any
	blobs     map[digest.Digest][]byte
	predicate []byte
}

func forge(t *testing.T, s scene) *forgery {
	t.Helper()
	repo, err := s.dest.Repository("service")
	if err != nil {
		t.Fatal(err)
	}
	original := s.image.Platforms[0].Digest
	m, err := repo.Manifest(t.Context(), publish.SHA256(original))
	if err != nil {
		t.Fatal(err)
	}
	f := &forgery{scene: s, repo: repo, blobs: map[digest.Digest][]byte{}}
	if err := json.Unmarshal(m.Raw, &f.manifest); err != nil {
		t.Fatal(err)
	}
	for _, d := range append([]ocispec.Descriptor{f.manifest.Config}, f.manifest.Layers...) {
		if f.blobs[d.Digest], err = publish.ReadSmall(t.Context(), repo, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal(f.blobs[f.manifest.Config.Digest], &f.config); err != nil {
		t.Fatal(err)
	}
	if f.predicate, err = verify.Attested(t.Context(), repo, m, attest.PredicateSLSA, trust.Signers{trust.Unverified()}); err != nil {
		t.Fatal(err)
	}
	return f
}

// publish puts the forgery under the tag forged.
func (f *forgery) publish(t *testing.T) string {
	t.Helper()
	config, err := json.Marshal(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.manifest.Config.Digest, f.manifest.Config.Size = digest.FromBytes(config), int64(len(config))
	raw, err := json.Marshal(f.manifest)
	if err != nil {
		t.Fatal(err)
	}
	f.publishRaw(t, raw, config)
	return f.ref("forged")
}

func (f *forgery) publishRaw(t *testing.T, manifest, config []byte) {
	t.Helper()
	image := publish.Image{
		Platform: recipes.LinuxAMD64, Manifest: manifest,
		Blobs: []publish.Blob{publish.BytesBlob(ocispec.MediaTypeImageConfig, config)},
		Attestations: []publish.Attestation{{
			PredicateType: attest.PredicateSLSA, Predicate: func(context.Context) ([]byte, error) { return f.predicate, nil },
		}},
	}
	for _, d := range f.manifest.Layers {
		image.Blobs = append(image.Blobs, publish.BytesBlob(d.MediaType, f.blobs[d.Digest]))
	}
	release := publish.Release{Name: "service", Images: []publish.Image{image}, Tags: []string{"forged"}}
	if _, err := publish.Publish(t.Context(), f.dest, release, publish.Options{Signer: f.key}); err != nil {
		t.Fatal(err)
	}
}

// member is one entry of a layer in memory.
type member struct {
	tar.Header
	content []byte
}

// layer rewrites one layer. Its config goes along, unless it lies.
func (f *forgery) layer(t *testing.T, at int, lie bool, change func([]member) []member) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(f.blobs[f.manifest.Layers[at].Digest]))
	if err != nil {
		t.Fatal(err)
	}
	var members []member
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, member{*h, content})
	}
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, m := range change(members) {
		m.Size, m.Format = int64(len(m.content)), tar.FormatUnknown
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
	f.replace(t, at, plain.Bytes(), lie)
}

// replace puts another tar stream in the place of a layer.
func (f *forgery) replace(t *testing.T, at int, plain []byte, lie bool) {
	t.Helper()
	packed := archivetest.Gzip(t, plain)
	d := digest.FromBytes(packed)
	f.blobs[d] = packed
	f.manifest.Layers[at].Digest, f.manifest.Layers[at].Size = d, int64(len(packed))
	if !lie {
		f.config["rootfs"].(map[string]any)["diff_ids"].([]any)[at] = digest.FromBytes(plain).String()
	}
}

// program is the layer of the service that holds its files.
const program = 1

// on changes the member of a path.
func on(path string, change func(*member)) func([]member) []member {
	return func(all []member) []member {
		for i := range all {
			if all[i].Name == path {
				change(&all[i])
			}
		}
		return all
	}
}
