package publish_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
)

// sample is an image to publish, made of real layers in files of a store.
type sample struct {
	name    string
	version string
	content string // what its own layer holds
	base    []byte // what its first layer holds
	sibling string
}

func tarGzip(t *testing.T, files map[string]string) (blob []byte, diffID digest.Digest) {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, name := range []string{"etc/one", "etc/two"} {
		body, ok := files[name]
		if !ok {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(body))
	}
	w.Close()
	return archivetest.Gzip(t, raw.Bytes()), digest.FromBytes(raw.Bytes())
}

// storeBlob writes a blob into a folder as the content store has it.
func storeBlob(t *testing.T, store, mediaType string, content []byte) publish.Blob {
	t.Helper()
	blob := publish.BytesBlob(mediaType, content)
	path := filepath.Join(store, blob.Digest.Encoded())
	if _, err := os.Stat(path); err != nil {
		if err := os.WriteFile(path, content, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	blob.File = func(context.Context) (string, error) { return path, nil }
	return blob
}

func (s sample) image(t *testing.T, store string, platform recipes.Platform) publish.Image {
	t.Helper()
	_, arch, _ := strings.Cut(string(platform), "/")
	base, baseID := tarGzip(t, map[string]string{"etc/one": string(s.base)})
	own, ownID := tarGzip(t, map[string]string{"etc/two": s.content + arch})
	config, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: arch},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{baseID, ownID}},
	})
	if err != nil {
		t.Fatal(err)
	}
	blobs := []publish.Blob{
		publish.BytesBlob(ocispec.MediaTypeImageConfig, config),
		storeBlob(t, store, ocispec.MediaTypeImageLayerGzip, base),
		storeBlob(t, store, ocispec.MediaTypeImageLayerGzip, own),
	}
	blobs[1].Sibling = s.sibling
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      blobs[0].Descriptor,
		Layers:      []ocispec.Descriptor{blobs[1].Descriptor, blobs[2].Descriptor},
		Annotations: map[string]string{ocispec.AnnotationVersion: s.version},
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(manifest)
	return publish.Image{
		Platform: platform,
		Manifest: manifest,
		Blobs:    blobs,
		Attestations: []publish.Attestation{{
			PredicateType: attest.PredicateSPDX,
			Predicate: func(context.Context) ([]byte, error) {
				return fmt.Appendf(nil, `{"spdxVersion":"SPDX-2.3","about":%q}`, hex.EncodeToString(sum[:])), nil
			},
		}},
	}
}

func (s sample) release(t *testing.T, store string, platforms ...recipes.Platform) publish.Release {
	t.Helper()
	if len(platforms) == 0 {
		platforms = []recipes.Platform{recipes.LinuxAMD64}
	}
	r := publish.Release{
		Name:  s.name,
		Tags:  []string{s.version, "latest", s.version + "-0123abcd"},
		Fixed: s.version + "-0123abcd",
	}
	index := ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageIndex,
		Annotations: map[string]string{ocispec.AnnotationVersion: s.version},
	}
	for _, platform := range platforms {
		img := s.image(t, store, platform)
		r.Images = append(r.Images, img)
		d := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: img.Manifest}.Descriptor()
		_, arch, _ := strings.Cut(string(platform), "/")
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, d)
	}
	if len(platforms) > 1 {
		raw, err := json.Marshal(index)
		if err != nil {
			t.Fatal(err)
		}
		r.Index = raw
	}
	return r
}

func postgresql() sample {
	return sample{name: "postgresql", version: "17.12", content: "select 1", base: bytes.Repeat([]byte("base "), 50_000)}
}

// quick reaches registries without waiting between tries.
func quick() publish.RegistryOptions {
	return publish.RegistryOptions{Backoff: &remote.Backoff{Steps: 1}}
}

func destination(t *testing.T, s string) publish.Destination {
	t.Helper()
	dest, err := publish.ParseDestination(s, quick())
	if err != nil {
		t.Fatal(err)
	}
	return dest
}

func mustPublish(t *testing.T, dest publish.Destination, r publish.Release, o publish.Options) publish.Result {
	t.Helper()
	result, err := publish.Publish(t.Context(), dest, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// complete fails unless the tag names an image whose signature and SBOM are
// by the key, in both forms, and whose blobs are all there; it reports whether
// there is a tag.
func complete(t *testing.T, repo publish.Repository, tag string, key *attest.Key) bool {
	t.Helper()
	return completeIn(t, repo, tag, key, attest.Dual)
}

// completeIn is complete for the forms that a format has.
func completeIn(t *testing.T, repo publish.Repository, tag string, key *attest.Key, format attest.Format) bool {
	t.Helper()
	there, err := wholeIn(t, repo, tag, key, format)
	if err != nil {
		t.Errorf("%s is tagged and not complete: %v", tag, err)
	}
	return there
}

// whole says whether there is a tag, and what its image lacks.
func whole(t *testing.T, repo publish.Repository, tag string, key *attest.Key) (there bool, lacks error) {
	t.Helper()
	return wholeIn(t, repo, tag, key, attest.Dual)
}

func wholeIn(t *testing.T, repo publish.Repository, tag string, key *attest.Key, format attest.Format) (there bool, lacks error) {
	t.Helper()
	ctx := t.Context()
	d, err := repo.Resolve(ctx, tag)
	if errors.Is(err, publish.ErrNoTag) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	verifier, err := attest.NewVerifier(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return true, described(ctx, repo, verifier, d, format)
}

// described says what is missing of a signature, an SBOM or a blob of an
// image, or of an index and its images.
func described(ctx context.Context, repo publish.Repository, verifier *attest.Verifier, d ocispec.Descriptor, format attest.Format) error {
	subject, err := publish.Hex(d.Digest)
	if err != nil {
		return err
	}
	if format.Classic() {
		if err := anySigned(ctx, repo, verifier, attest.SignatureTag(subject)); err != nil {
			return err
		}
	}
	if format.Bundles() {
		if err := anyBundle(ctx, repo, verifier, d.Digest, attest.PredicateSign); err != nil {
			return err
		}
	}
	m, err := repo.Manifest(ctx, d.Digest)
	if err != nil {
		return err
	}
	var manifest struct {
		ocispec.Manifest
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return err
	}
	if m.MediaType == ocispec.MediaTypeImageIndex {
		var lacks error
		for _, child := range manifest.Manifests {
			lacks = errors.Join(lacks, described(ctx, repo, verifier, child, format))
		}
		return lacks
	}
	if format.Classic() {
		if err := anySigned(ctx, repo, verifier, attest.AttestationTag(subject)); err != nil {
			return err
		}
	}
	if format.Bundles() {
		if err := anyBundle(ctx, repo, verifier, d.Digest, attest.PredicateSPDX); err != nil {
			return err
		}
	}
	for _, blob := range append(manifest.Layers, manifest.Config) {
		if _, err := publish.ReadSmall(ctx, repo, blob); err != nil {
			return err
		}
	}
	return nil
}

func anySigned(ctx context.Context, repo publish.Repository, verifier *attest.Verifier, where string) error {
	said, err := repo.Resolve(ctx, where)
	if err != nil {
		return err
	}
	m, err := repo.Manifest(ctx, said.Digest)
	if err != nil {
		return err
	}
	items, err := attest.Read(m.Raw)
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.Content, err = publish.ReadSmall(ctx, repo, item.Descriptor); err != nil {
			return err
		}
		if verifier.Signed(item) {
			return nil
		}
	}
	return fmt.Errorf("nothing under %s is by the key", where)
}

func anyBundle(ctx context.Context, repo publish.Repository, verifier *attest.Verifier, subject digest.Digest, predicateType string) error {
	hex, err := publish.Hex(subject)
	if err != nil {
		return err
	}
	bundles, err := publish.Bundles(ctx, repo, subject)
	if err != nil {
		return err
	}
	for _, b := range bundles {
		if s, err := verifier.Bundle(b.Content, hex); err == nil && s.PredicateType == predicateType {
			return nil
		}
	}
	return fmt.Errorf("no bundle of %s refers to %s and is by the key", predicateType, subject)
}
