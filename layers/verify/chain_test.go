package verify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

// debian is a base.
func debian() spec { return spec{name: "base-debian", content: "base"} }

// on makes minio on a base that is there and signed.
func on(t *testing.T, w world, base spec, edit func(*spec)) {
	t.Helper()
	_, root := w.push(t, base)
	s := minio()
	s.base = root
	if edit != nil {
		edit(&s)
	}
	w.push(t, s)
}

// chainRefusals are bases that are not there, or not signed.
func chainRefusals() map[string]refusal {
	base := debian()
	return map[string]refusal{
		"base not there": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			s := minio()
			s.base = base.make(t)
			w.push(t, s)
		}},
		"another base there": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			w.push(t, spec{name: "base-debian", content: "another"})
			s := minio()
			s.base = base.make(t)
			w.push(t, s)
		}},
		"unsigned base": {want: verify.ErrNotSigned, check: "signature", bring: func(t *testing.T, w world) {
			root := base.make(t)
			bring(t, w.repository(t, "base-debian"), root.release.Images[0], "1")
			s := minio()
			s.base = root
			w.push(t, s)
		}},
		"base signed by a stranger": {want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			stranger := w
			stranger.key = attesttest.NewKey(t)
			_, root := stranger.push(t, base)
			s := minio()
			s.base = root
			w.push(t, s)
		}},
		"unsigned base of a base": {want: verify.ErrNotSigned, check: "signature", bring: func(t *testing.T, w world) {
			root := base.make(t)
			bring(t, w.repository(t, "base-debian"), root.release.Images[0], "1")
			on(t, w, spec{name: "base-java", content: "java", base: root}, nil)
		}},
	}
}

// layerRefusals are bases that are there, and on which the image does not
// stand.
func layerRefusals() map[string]refusal {
	base := debian()
	return map[string]refusal{
		"base with other layers": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			_, other := w.push(t, spec{name: "base-debian", content: "other"})
			on(t, w, base, func(s *spec) {
				s.manifest = func(m *ocispec.Manifest) {
					m.Annotations[ocispec.AnnotationBaseImageDigest] = other.images["amd64"].digest.String()
				}
			})
		}},
		"base with more layers": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			_, root := w.push(t, base)
			_, java := w.push(t, spec{name: "base-java", content: "java", base: root})
			_, tall := w.push(t, spec{name: "base-tall", content: "tall", base: java})
			s := minio()
			s.base = root
			s.manifest = func(m *ocispec.Manifest) {
				m.Annotations[ocispec.AnnotationBaseImageName] = "base-tall:1"
				m.Annotations[ocispec.AnnotationBaseImageDigest] = tall.images["amd64"].digest.String()
			}
			s.provenance = func(p *provenance.Predicate) {
				p.BuildDefinition.InternalParameters.Recipes[0].Name = "base-tall"
				p.BuildDefinition.ResolvedDependencies[0].Name = "base-tall"
			}
			w.push(t, s)
		}},
		"base under another image's name": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			m := base.make(t)
			bring(t, w.repository(t, "base-evil"), m.release.Images[0], "1")
			on(t, w, base, func(s *spec) {
				s.manifest = func(m *ocispec.Manifest) { m.Annotations[ocispec.AnnotationBaseImageName] = "base-evil:1" }
			})
		}},
		"base without digest": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			on(t, w, base, func(s *spec) {
				s.manifest = func(m *ocispec.Manifest) { delete(m.Annotations, ocispec.AnnotationBaseImageDigest) }
				s.provenance = func(p *provenance.Predicate) { p.BuildDefinition.ResolvedDependencies = nil }
			})
		}},
		"base elsewhere": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			on(t, w, base, func(s *spec) {
				s.manifest = func(m *ocispec.Manifest) {
					m.Annotations[ocispec.AnnotationBaseImageName] = "registry.example.org/debian:13"
				}
			})
		}},
		"base with a name that is none": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			on(t, w, base, func(s *spec) {
				s.manifest = func(m *ocispec.Manifest) { m.Annotations[ocispec.AnnotationBaseImageName] = "..:1" }
			})
		}},
		"provenance of another base": {want: verify.ErrAttestation, check: "provenance", bring: func(t *testing.T, w world) {
			on(t, w, base, func(s *spec) {
				s.provenance = func(p *provenance.Predicate) {
					p.BuildDefinition.ResolvedDependencies[0].Digest.SHA256 = recipes.Digest(strings.Repeat("b", 64))
				}
			})
		}},
		"base that is not an image": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			repo := w.repository(t, "base-debian")
			index := publish.Manifest{MediaType: ocispec.MediaTypeImageIndex, Raw: must(json.Marshal(ocispec.Index{
				MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{},
			}))}
			retag(t, repo, index, "1")
			on(t, w, base, func(s *spec) {
				s.manifest = func(m *ocispec.Manifest) { m.Annotations[ocispec.AnnotationBaseImageDigest] = index.Digest().String() }
			})
		}},
		"base without a config": {want: verify.ErrAttestation, check: "chain", bring: func(t *testing.T, w world) {
			on(t, w, base, func(s *spec) {
				s.manifest = func(m *ocispec.Manifest) {
					m.Annotations[ocispec.AnnotationBaseImageDigest] = digest.FromString("none").String()
				}
			})
		}},
	}
}

func TestChainRefusals(t *testing.T) { refuse(t, chainRefusals()) }

func TestLayerRefusals(t *testing.T) { refuse(t, layerRefusals()) }

// Without the chain, an image without its base holds.
func TestNoChain(t *testing.T) {
	key := attesttest.NewKey(t)
	for name, dest := range destinations(t) {
		s := minio()
		s.base = spec{name: "base-debian", content: "base"}.make(t)
		push(t, dest, s.make(t), key, attest.Dual)
		o := options(key)
		o.NoChain = true
		report, err := verify.Verify(t.Context(), dest+"/minio:1", o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.ContainsFunc(report.Skipped, func(s string) bool { return strings.Contains(s, "no-chain") }) {
			t.Errorf("%s: what was skipped is not said: %q", name, report.Skipped)
		}
	}
}
