package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
)

// must is for what cannot fail but by a mistake in the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// created is the date of every image here.
func created() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// spec is an image to make; the edits make it wrong.
type spec struct {
	name, content string
	archs         []string // none is amd64
	base          *made
	manifest      func(*ocispec.Manifest)
	config        func(*ocispec.Image)
	provenance    func(*provenance.Predicate)
	about         recipes.Digest // that the SBOM says it is of; empty for the image itself
	cycloneDX     bool
	without       []string // predicate types that are not attested
	more          []publish.Attestation
}

// made is an image that was made, by architecture.
type made struct {
	name    string
	release publish.Release
	images  map[string]*madeImage
}

type madeImage struct {
	manifest ocispec.Manifest
	digest   digest.Digest
	diffIDs  []digest.Digest
	blobs    []publish.Blob
}

// make makes the image, for several architectures with an index.
func (s spec) make(t *testing.T) *made {
	t.Helper()
	if len(s.archs) == 0 {
		s.archs = []string{"amd64"}
	}
	m := &made{name: s.name, release: publish.Release{Name: s.name, Tags: []string{"1"}}, images: map[string]*madeImage{}}
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Annotations: map[string]string{ocispec.AnnotationTitle: s.name},
	}
	for _, arch := range s.archs {
		img, one := s.image(t, arch)
		m.release.Images, m.images[arch] = append(m.release.Images, img), one
		d := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: img.Manifest}.Descriptor()
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, d)
	}
	if len(s.archs) > 1 {
		m.release.Index = must(json.Marshal(index))
	}
	return m
}

// layer is a packed layer and its diffID.
func layer(t *testing.T, content string) (publish.Blob, digest.Digest) {
	t.Helper()
	return publish.BytesBlob(ocispec.MediaTypeImageLayerGzip, archivetest.Gzip(t, []byte(content))), digest.FromString(content)
}

func (s spec) image(t *testing.T, arch string) (publish.Image, *madeImage) {
	t.Helper()
	one := &madeImage{manifest: ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Annotations: map[string]string{ocispec.AnnotationTitle: s.name, ocispec.AnnotationCreated: created().Format(time.RFC3339)},
	}}
	if s.base != nil {
		lower := s.base.images[arch]
		one.blobs, one.diffIDs = append(one.blobs, lower.blobs[:len(lower.blobs)-1]...), append(one.diffIDs, lower.diffIDs...)
		one.manifest.Annotations[ocispec.AnnotationBaseImageName] = s.base.name + ":1"
		one.manifest.Annotations[ocispec.AnnotationBaseImageDigest] = lower.digest.String()
	}
	own, diffID := layer(t, s.content+" for "+arch)
	one.blobs, one.diffIDs = append(one.blobs, own), append(one.diffIDs, diffID)
	for _, b := range one.blobs {
		one.manifest.Layers = append(one.manifest.Layers, b.Descriptor)
	}
	config := ocispec.Image{
		Created: new(time.Time), Platform: ocispec.Platform{OS: "linux", Architecture: arch},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: one.diffIDs},
	}
	*config.Created = created()
	if s.config != nil {
		s.config(&config)
	}
	configBlob := publish.BytesBlob(ocispec.MediaTypeImageConfig, must(json.Marshal(config)))
	one.blobs = append(one.blobs, configBlob)
	one.manifest.Config = configBlob.Descriptor
	if s.manifest != nil {
		s.manifest(&one.manifest)
	}
	raw := must(json.Marshal(one.manifest))
	one.digest = digest.FromBytes(raw)
	platform := recipes.Platform("linux/" + arch)
	return publish.Image{
		Platform: platform, Manifest: raw, Blobs: one.blobs, Attestations: s.attestations(t, platform, one),
	}, one
}

func (s spec) attestations(t *testing.T, platform recipes.Platform, one *madeImage) []publish.Attestation {
	t.Helper()
	about := recipes.Digest(one.digest.Encoded())
	if s.about != "" {
		about = s.about
	}
	document := must(sbom.SPDX(t.Context(), sbom.Input{
		Name: s.name, Version: "1", Tag: "1", Platform: platform, Distro: recipes.Debian,
		Digest: about, Created: created(), Tool: "test",
	}))
	p := s.predicate(platform, one)
	if s.provenance != nil {
		s.provenance(&p)
	}
	var list []publish.Attestation
	for predicateType, content := range map[string][]byte{attest.PredicateSPDX: document, attest.PredicateSLSA: must(p.Encode())} {
		list = append(list, says(predicateType, content))
	}
	if s.cycloneDX {
		list = append(list, says(attest.PredicateCycloneDX, must(sbom.CycloneDX(document))))
	}
	kept := s.more
	for _, a := range list {
		if !strings.Contains(strings.Join(s.without, " "), a.PredicateType) {
			kept = append(kept, a)
		}
	}
	return kept
}

func says(predicateType string, content []byte) publish.Attestation {
	return publish.Attestation{PredicateType: predicateType, Predicate: func(context.Context) ([]byte, error) { return content, nil }}
}

// predicate is provenance that agrees with the image.
func (s spec) predicate(platform recipes.Platform, one *madeImage) provenance.Predicate {
	sum := provenance.Digests{SHA256: recipes.Digest(strings.Repeat("a", 64))}
	p := provenance.Predicate{
		BuildDefinition: provenance.BuildDefinition{
			BuildType: provenance.BuildType,
			ExternalParameters: provenance.ExternalParameters{
				Image: s.name, Distro: recipes.Debian, Platform: platform, Compression: "gzip",
			},
			InternalParameters: provenance.InternalParameters{
				Recipes: []provenance.Resource{{Name: s.name, Digest: sum}}, Version: "1", BuildID: "0123abcd",
				LockDate: created(), Encoder: provenance.Resource{Name: "encoder", Digest: sum},
			},
			ResolvedDependencies: []provenance.Resource{},
		},
		RunDetails: provenance.RunDetails{Builder: provenance.Builder{ID: provenance.Local}},
	}
	base, ok := one.manifest.Annotations[ocispec.AnnotationBaseImageDigest]
	if !ok {
		return p
	}
	p.BuildDefinition.InternalParameters.Recipes = []provenance.Resource{{Name: s.base.name, Digest: sum}, {Name: s.name, Digest: sum}}
	p.BuildDefinition.ResolvedDependencies = []provenance.Resource{{
		Name: s.base.name, URI: "pkg:oci/" + s.base.name, Digest: provenance.Digests{SHA256: recipes.Digest(digest.Digest(base).Encoded())},
		Annotations: map[string]string{provenance.AnnotationKind: provenance.KindParent},
	}}
	return p
}

// options trust one key and read everything.
func options(key *attest.Key) verify.Options {
	return verify.Options{Rules: rules(must(trust.Key(key.Public()))), Layers: true, Registry: quick()}
}

func rules(signers ...trust.Signer) verify.Rules { return verify.Always(verify.Rule{Signers: signers}) }

func quick() publish.RegistryOptions {
	return publish.RegistryOptions{Backoff: &remote.Backoff{Steps: 1}}
}

// destinations are places of each kind, all empty.
func destinations(t *testing.T) map[string]string {
	t.Helper()
	serve := func(h http.Handler) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://") + "/shudl"
	}
	return map[string]string{
		"layout":       "oci:" + t.TempDir(),
		"registry":     serve(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))),
		"no-referrers": serve(registry.New(registry.Logger(log.New(io.Discard, "", 0)))),
		"ocimem":       serve(ociserver.New(ocimem.New(), nil)),
	}
}

// push publishes an image; without a signer only a layout takes it.
func push(t *testing.T, dest string, m *made, signer attest.Signer, format attest.Format) publish.Repository {
	t.Helper()
	d := must(publish.ParseDestination(dest, quick()))
	if _, err := publish.Publish(t.Context(), d, m.release, publish.Options{Signer: signer, Format: format}); err != nil {
		t.Fatal(err)
	}
	return must(d.Repository(m.name))
}

// bring puts manifests and blobs into a repository, and a tag on the last,
// as whoever may write to it can, without a signature.
func bring(t *testing.T, repo publish.Repository, img publish.Image, tag string) publish.Manifest {
	t.Helper()
	for _, b := range img.Blobs {
		if has, err := repo.Has(t.Context(), b.Descriptor); err != nil || !has {
			if err := repo.PutBlob(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
	}
	m := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: img.Manifest}
	retag(t, repo, m, tag)
	return m
}

func retag(t *testing.T, repo publish.Repository, m publish.Manifest, tag string) {
	t.Helper()
	if err := repo.PutManifest(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), m, []string{tag}); err != nil {
		t.Fatal(err)
	}
}

func manifestAt(t *testing.T, repo publish.Repository, tag string) publish.Manifest {
	t.Helper()
	return must(publish.Reference{Repository: repo, Tag: tag}.Manifest(t.Context()))
}

func hex(m publish.Manifest) recipes.Digest { return recipes.Digest(m.Digest().Encoded()) }

// classOf is the one error of this package's that an error is.
func classOf(t *testing.T, err error) error {
	t.Helper()
	var found []error
	for _, class := range []error{
		verify.ErrNotSigned, verify.ErrNoTag, verify.ErrNoMatch, verify.ErrAttestation, verify.ErrContent, verify.ErrPolicy, verify.ErrUsage,
	} {
		if errors.Is(err, class) {
			found = append(found, class)
		}
	}
	if len(found) != 1 {
		t.Fatalf("error %v is of %d classes: %v", err, len(found), found)
	}
	return found[0]
}

// finding is the first of a check in a report.
func finding(t *testing.T, r verify.Report, check string) verify.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no finding %s in %+v", check, r)
	return verify.Finding{}
}
