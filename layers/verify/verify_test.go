package verify_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

func newKey(t *testing.T) *attest.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := attest.NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// image is one platform with an SBOM that says it is about digest, or about
// the image itself where digest is empty.
func image(t *testing.T, content, arch string, about recipes.Digest) publish.Image {
	t.Helper()
	config := publish.BytesBlob(ocispec.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"`+arch+`"}`))
	layer := publish.BytesBlob(ocispec.MediaTypeImageLayer, []byte(content+arch))
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config.Descriptor, Layers: []ocispec.Descriptor{layer.Descriptor},
	})
	if err != nil {
		t.Fatal(err)
	}
	if about == "" {
		about, err = publish.Hex(digest.FromBytes(manifest))
		if err != nil {
			t.Fatal(err)
		}
	}
	return publish.Image{
		Platform: recipes.Platform("linux/" + arch), Manifest: manifest, Blobs: []publish.Blob{config, layer},
		Attestations: []publish.Attestation{{PredicateType: attest.PredicateSPDX, Predicate: func(ctx context.Context) ([]byte, error) {
			return sbom.SPDX(ctx, sbom.Input{
				Name: "minio", Version: "1", Tag: "1", Platform: recipes.Platform("linux/" + arch), Distro: recipes.Debian,
				Digest: about, Created: time.Unix(0, 0), Tool: "test",
			})
		}}},
	}
}

func release(t *testing.T, content string, archs ...string) publish.Release {
	t.Helper()
	r := publish.Release{Name: "minio", Tags: []string{"1"}}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, arch := range archs {
		img := image(t, content, arch, "")
		r.Images = append(r.Images, img)
		d := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: img.Manifest}.Descriptor()
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, d)
	}
	if len(archs) > 1 {
		var err error
		if r.Index, err = json.Marshal(index); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func options(key *attest.Key) verify.Options {
	return verify.Options{Key: key.Public(), Layers: true, Registry: publish.RegistryOptions{Backoff: &remote.Backoff{Steps: 1}}}
}

func push(t *testing.T, dest string, r publish.Release, key *attest.Key) publish.Repository {
	t.Helper()
	d, err := publish.ParseDestination(dest, options(newKey(t)).Registry)
	if err != nil {
		t.Fatal(err)
	}
	o := publish.Options{}
	if key != nil {
		o.Signer = key
	}
	if _, err := publish.Publish(t.Context(), d, r, o); err != nil {
		t.Fatal(err)
	}
	repo, err := d.Repository(r.Name)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func destinations(t *testing.T) map[string]string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return map[string]string{
		"layout":   "oci:" + t.TempDir(),
		"registry": strings.TrimPrefix(server.URL, "http://") + "/shudl",
	}
}

func TestVerify(t *testing.T) {
	for _, archs := range [][]string{{"amd64"}, {"amd64", "arm64"}} {
		for name, dest := range destinations(t) {
			key := newKey(t)
			repo := push(t, dest, release(t, "content", archs...), key)
			report, err := verify.Verify(t.Context(), dest+"/minio:1", options(key))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := 3 * len(archs) // signature, SBOM and content of each
			if len(archs) > 1 {
				want++ // signature of the index
			}
			d, _ := repo.Resolve(t.Context(), "1")
			if len(report.Findings) != want || report.Digest != d.Digest.String() || report.KeyID != key.ID() {
				t.Errorf("%s: %+v", name, report)
			}
			byDigest, err := verify.Verify(t.Context(), dest+"/minio@"+d.Digest.String(), options(key))
			if err != nil || byDigest.Digest != report.Digest {
				t.Errorf("%s: by digest: %v", name, err)
			}
			document, err := verify.SBOM(t.Context(), dest+"/minio:1", "linux/amd64", options(key))
			if err != nil || !bytes.Contains(document, []byte(`"spdxVersion":"SPDX-2.3"`)) {
				t.Errorf("%s: SBOM %.60s, %v", name, document, err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	key, wrong := newKey(t), newKey(t)
	tests := map[string]struct {
		want error
		make func(t *testing.T, dest string)
		with *attest.Key
	}{
		"no such tag": {want: verify.ErrNoTag, make: func(t *testing.T, dest string) {
			r := release(t, "content", "amd64")
			r.Tags = []string{"2"}
			push(t, dest, r, key)
		}},
		"wrong key": {want: verify.ErrNoMatch, with: wrong, make: func(t *testing.T, dest string) {
			push(t, dest, release(t, "content", "amd64"), key)
		}},
		"not signed": {want: verify.ErrNotSigned, make: func(t *testing.T, dest string) {
			repo := push(t, dest, release(t, "content", "amd64"), key)
			other := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: image(t, "unsigned", "amd64", "").Manifest}
			retag(t, repo, other, "1")
		}},
		"signature of another image": {want: verify.ErrNoMatch, make: func(t *testing.T, dest string) {
			repo := push(t, dest, release(t, "content", "amd64"), key)
			signed := manifestAt(t, repo, "1")
			other := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: image(t, "other", "amd64", "").Manifest}
			retag(t, repo, manifestAt(t, repo, attest.SignatureTag(hex(t, signed))), attest.SignatureTag(hex(t, other)))
			retag(t, repo, other, "1")
		}},
		"another signed image under this name": {want: verify.ErrNoMatch, make: func(t *testing.T, dest string) {
			r := release(t, "content", "amd64")
			r.Name = "trino"
			from := push(t, dest, r, key)
			d, err := publish.ParseDestination(dest, options(key).Registry)
			if err != nil {
				t.Fatal(err)
			}
			ref := publish.Reference{Repository: from, Image: "minio", Tag: "1"}
			if _, err := publish.Copy(t.Context(), ref, d, publish.CopyOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
		"no SBOM": {want: verify.ErrAttestation, make: func(t *testing.T, dest string) {
			r := release(t, "content", "amd64")
			r.Images[0].Attestations = nil
			push(t, dest, r, key)
		}},
		"SBOM of another image": {want: verify.ErrAttestation, make: func(t *testing.T, dest string) {
			push(t, dest, release(t, "content", "amd64"), key)
			r := release(t, "other", "amd64")
			r.Tags = []string{"2"}
			repo := push(t, dest, r, key)
			swapped := manifestAt(t, repo, attest.AttestationTag(hex(t, manifestAt(t, repo, "2"))))
			retag(t, repo, swapped, attest.AttestationTag(hex(t, manifestAt(t, repo, "1"))))
		}},
		"SBOM that describes another image": {want: verify.ErrAttestation, make: func(t *testing.T, dest string) {
			r := release(t, "content", "amd64")
			r.Images[0] = image(t, "content", "amd64", recipes.Digest(strings.Repeat("0", 64)))
			push(t, dest, r, key)
		}},
		"SBOM by another key": {want: verify.ErrAttestation, make: func(t *testing.T, dest string) {
			r := release(t, "content", "amd64")
			bare := r
			bare.Images = []publish.Image{r.Images[0]}
			bare.Images[0].Attestations = nil
			push(t, dest, bare, key)
			push(t, dest, r, wrong)
		}},
		"one platform not signed": {want: verify.ErrNotSigned, make: func(t *testing.T, dest string) {
			r := release(t, "content", "amd64", "arm64")
			repo := push(t, dest, r, key)
			second := r.Images[1].Manifest
			sig := func(raw []byte) string { return attest.SignatureTag(hex(t, publish.Manifest{Raw: raw})) }
			empty, err := attest.Assemble(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.PutBlob(t.Context(), publish.BytesBlob(empty.Config.MediaType, empty.Config.Content)); err != nil {
				t.Fatal(err)
			}
			retag(t, repo, publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: empty.Raw}, sig(second))
		}},
	}
	for name, test := range tests {
		for where, dest := range destinations(t) {
			t.Run(name+"/"+where, func(t *testing.T) {
				test.make(t, dest)
				with := key
				if test.with != nil {
					with = test.with
				}
				report, err := verify.Verify(t.Context(), dest+"/minio:1", options(with))
				if !errors.Is(err, test.want) {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				for _, class := range []error{verify.ErrNoTag, verify.ErrNotSigned, verify.ErrNoMatch, verify.ErrAttestation} {
					if class != test.want && errors.Is(err, class) {
						t.Errorf("error %v is %v too", err, class)
					}
				}
				if test.want == verify.ErrNoTag {
					return
				}
				if n := len(report.Findings); n == 0 || report.Findings[n-1].OK || report.Findings[n-1].Advice == "" {
					t.Errorf("report %+v", report)
				}
			})
		}
	}
}

func hex(t *testing.T, m publish.Manifest) recipes.Digest {
	t.Helper()
	d, err := publish.Hex(m.Digest())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func manifestAt(t *testing.T, repo publish.Repository, tag string) publish.Manifest {
	t.Helper()
	m, err := publish.Reference{Repository: repo, Tag: tag}.Manifest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// retag does what whoever can write to a repository can do.
func retag(t *testing.T, repo publish.Repository, m publish.Manifest, tag string) {
	t.Helper()
	if err := repo.PutManifest(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), m, []string{tag}); err != nil {
		t.Fatal(err)
	}
}

func TestChangedLayer(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	r := release(t, "content", "amd64")
	push(t, "oci:"+dir, r, key)
	layer := r.Images[0].Blobs[1]
	path := filepath.Join(dir, "minio", "blobs", "sha256", layer.Digest.Encoded())
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), int(layer.Size)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Verify(t.Context(), "oci:"+dir+"/minio:1", options(key)); !errors.Is(err, verify.ErrContent) {
		t.Errorf("error %v, want ErrContent", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o := options(key)
	o.Layers = false
	if _, err := verify.Verify(t.Context(), "oci:"+dir+"/minio:1", o); !errors.Is(err, verify.ErrContent) {
		t.Errorf("error %v, want ErrContent", err)
	}
}

func TestKeyIsNeeded(t *testing.T) {
	if _, err := verify.Verify(t.Context(), "oci:dir/minio:1", verify.Options{}); !errors.Is(err, verify.ErrUsage) {
		t.Errorf("error %v, want ErrUsage", err)
	}
}
