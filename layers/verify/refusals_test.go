package verify_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

// refusal is a way to put something wrong before a reader. It is brought to an
// empty destination of each kind; what is verified is minio:1.
type refusal struct {
	want  error  // its class
	check string // whose finding fails first; empty where there is no report
	bring func(t *testing.T, w world)
	rule  func(*verify.Rule) // what the reader wants beyond a key
	only  string             // the one kind of destination that can be brought to it
	edit  func(*verify.Options)
}

// world is an empty destination and whose signature is trusted there.
type world struct {
	dest   string
	key    *attest.Key
	format attest.Format
}

func (w world) push(t *testing.T, s spec) (publish.Repository, *made) {
	t.Helper()
	m := s.make(t)
	return push(t, w.dest, m, w.key, w.format), m
}

// repository is a place at the destination.
func (w world) repository(t *testing.T, image string) publish.Repository {
	t.Helper()
	return must(must(publish.ParseDestination(w.dest, quick())).Repository(image))
}

// move puts what is said of one manifest beside another, in both forms.
func move(t *testing.T, repo publish.Repository, from, to publish.Manifest, tag func(recipes.Digest) string) {
	t.Helper()
	m, err := publish.Reference{Repository: repo, Tag: tag(hex(from))}.Manifest(t.Context())
	if err == nil {
		retag(t, repo, m, tag(hex(to)))
	}
	for _, b := range must(publish.Bundles(t.Context(), repo, from.Digest())) {
		refer(t, repo, to, b.Content)
	}
}

// minio is the image that is verified.
func minio() spec { return spec{name: "minio", content: "content"} }

// signatureRefusals are missing and wrong signatures.
func signatureRefusals() map[string]refusal {
	return map[string]refusal{
		"no such tag": {want: verify.ErrNoTag, bring: func(t *testing.T, w world) {
			m := minio().make(t)
			m.release.Tags = []string{"2"}
			push(t, w.dest, m, w.key, w.format)
		}},
		"nothing there": {want: verify.ErrNoTag, bring: func(*testing.T, world) {}},
		"wrong key": {want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			w.key = attesttest.NewKey(t)
			w.push(t, minio())
		}},
		"not signed": {want: verify.ErrNotSigned, check: "signature", bring: func(t *testing.T, w world) {
			repo, _ := w.push(t, minio())
			bring(t, repo, spec{name: "minio", content: "unsigned"}.make(t).release.Images[0], "1")
		}},
		"moved signature": {want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			repo, _ := w.push(t, minio())
			signed := manifestAt(t, repo, "1")
			other := bring(t, repo, spec{name: "minio", content: "unsigned"}.make(t).release.Images[0], "1")
			move(t, repo, signed, other, attest.SignatureTag)
		}},
		"signature that is no signature": {want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			repo := w.repository(t, "minio")
			other := bring(t, repo, minio().make(t).release.Images[0], "1")
			retag(t, repo, other, attest.SignatureTag(hex(other)))
			refer(t, repo, other, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`))
		}},
		"signature of another repository's image": {want: verify.ErrNoMatch, check: "signature", bring: func(t *testing.T, w world) {
			from, _ := w.push(t, spec{name: "trino", content: "content"})
			d := must(publish.ParseDestination(w.dest, quick()))
			ref := publish.Reference{Destination: d, Repository: from, Image: "minio", Tag: "1"}
			must(publish.Copy(t.Context(), ref, d, publish.CopyOptions{}))
		}},
		"one platform not signed": {want: verify.ErrNotSigned, check: "signature", bring: func(t *testing.T, w world) {
			s := minio()
			s.archs = []string{"amd64", "arm64"}
			m := s.make(t)
			// The index is signed as it is, and one of its platforms never was.
			repo := w.repository(t, "minio")
			for _, img := range m.release.Images {
				bring(t, repo, img, "x")
			}
			m.release.Images = m.release.Images[:1]
			one := publish.Release{Name: "minio", Images: m.release.Images, Tags: []string{"amd64"}}
			push(t, w.dest, &made{name: "minio", release: one}, w.key, w.format)
			index := publish.Manifest{MediaType: ocispec.MediaTypeImageIndex, Raw: m.release.Index}
			retag(t, repo, index, "1")
			payload := must(attest.Payload("minio", hex(index)))
			sign(t, repo, index, must(w.key.Signature(t.Context(), payload)))
		}},
	}
}

// statementRefusals are wrong or missing SBOMs and provenance.
func statementRefusals() map[string]refusal {
	return map[string]refusal{
		"no SBOM": {want: verify.ErrAttestation, check: "sbom", bring: func(t *testing.T, w world) {
			s := minio()
			s.without = []string{attest.PredicateSPDX}
			w.push(t, s)
		}},
		"swapped SBOM": {want: verify.ErrAttestation, check: "sbom", bring: func(t *testing.T, w world) {
			s := minio()
			s.without = []string{attest.PredicateSPDX, attest.PredicateSLSA}
			repo, _ := w.push(t, s)
			m := spec{name: "minio", content: "other"}.make(t)
			m.release.Tags = []string{"2"}
			push(t, w.dest, m, w.key, w.format)
			move(t, repo, manifestAt(t, repo, "2"), manifestAt(t, repo, "1"), attest.AttestationTag)
		}},
		"SBOM that describes another image": {want: verify.ErrAttestation, check: "sbom", bring: func(t *testing.T, w world) {
			s := minio()
			s.about = recipes.Digest(strings.Repeat("0", 64))
			w.push(t, s)
		}},
		"SBOM by another key": {want: verify.ErrAttestation, check: "sbom", bring: func(t *testing.T, w world) {
			s := minio()
			s.without = []string{attest.PredicateSPDX}
			w.push(t, s)
			w.key = attesttest.NewKey(t)
			w.push(t, minio())
		}},
		"CycloneDX that describes another image": {want: verify.ErrAttestation, check: "cyclonedx", bring: func(t *testing.T, w world) {
			s := minio()
			s.more = []publish.Attestation{says(attest.PredicateCycloneDX,
				[]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"container","name":"minio"}}}`))}
			w.push(t, s)
		}},
		"no provenance": {want: verify.ErrAttestation, check: "provenance", bring: func(t *testing.T, w world) {
			s := minio()
			s.without = []string{attest.PredicateSLSA}
			w.push(t, s)
		}},
		"provenance of another image": {want: verify.ErrAttestation, check: "provenance", bring: func(t *testing.T, w world) {
			s := minio()
			s.provenance = func(p *provenance.Predicate) {
				p.BuildDefinition.ExternalParameters.Image = "trino"
				p.BuildDefinition.InternalParameters.Recipes[0].Name = "trino"
			}
			w.push(t, s)
		}},
		"provenance of another date": {want: verify.ErrAttestation, check: "provenance", bring: func(t *testing.T, w world) {
			s := minio()
			s.provenance = func(p *provenance.Predicate) {
				p.BuildDefinition.InternalParameters.LockDate = created().Add(time.Hour)
			}
			w.push(t, s)
		}},
		"provenance of another platform": {want: verify.ErrAttestation, check: "provenance", bring: func(t *testing.T, w world) {
			s := minio()
			s.archs = []string{"amd64", "arm64"}
			s.provenance = func(p *provenance.Predicate) { p.BuildDefinition.ExternalParameters.Platform = "linux/amd64" }
			w.push(t, s)
		}},
		"provenance by another kind of build": {want: verify.ErrAttestation, check: "provenance", bring: func(t *testing.T, w world) {
			s := minio()
			s.provenance = func(p *provenance.Predicate) { p.BuildDefinition.BuildType = "https://example.org/build" }
			w.push(t, s)
		}},
		"attestation that says it is another": {want: verify.ErrAttestation, check: "sbom", bring: func(t *testing.T, w world) {
			s := minio()
			s.without = []string{attest.PredicateSPDX}
			s.more = []publish.Attestation{says("https://example.org/other", []byte(`{"spdxVersion":"SPDX-2.3"}`))}
			repo, _ := w.push(t, s)
			top := manifestAt(t, repo, "1")
			m, err := publish.Reference{Repository: repo, Tag: attest.AttestationTag(hex(top))}.Manifest(t.Context())
			if err != nil {
				return // bundles say their type themselves
			}
			m.Raw = bytes.ReplaceAll(m.Raw, []byte("https://example.org/other"), []byte(attest.PredicateSPDX))
			retag(t, repo, m, attest.AttestationTag(hex(top)))
		}},
	}
}

// sign adds a classic item to what is said of a manifest.
func sign(t *testing.T, repo publish.Repository, m publish.Manifest, item attest.Item) {
	t.Helper()
	put(t, repo, attest.SignatureTag(hex(m)), item)
}

// put makes a classic manifest of items.
func put(t *testing.T, repo publish.Repository, tag string, items ...attest.Item) {
	t.Helper()
	all := must(attest.Assemble(items))
	for _, i := range append(items, all.Config) {
		if err := repo.PutBlob(t.Context(), publish.BytesBlob(i.MediaType, i.Content)); err != nil {
			t.Fatal(err)
		}
	}
	retag(t, repo, publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: all.Raw}, tag)
}

func TestSignatureRefusals(t *testing.T) { refuse(t, signatureRefusals()) }

func TestStatementRefusals(t *testing.T) { refuse(t, statementRefusals()) }

// refuse brings each refusal to a destination of each kind, in the form that is
// tried there.
func refuse(t *testing.T, all map[string]refusal) {
	t.Helper()
	for name, r := range all {
		for where, dest := range destinations(t) {
			if r.only != "" && r.only != where {
				continue
			}
			t.Run(name+"/"+where, func(t *testing.T) {
				t.Parallel()
				w := world{dest, attesttest.NewKey(t), formatAt(where)}
				r.bring(t, w)
				r.verify(t, w)
			})
		}
	}
}

// formatAt is the form that is tried at a kind of destination, so that all
// kinds and all forms are.
func formatAt(where string) attest.Format {
	switch where {
	case "ocimem":
		return attest.Classic
	case "no-referrers":
		return attest.Bundles
	}
	return attest.Dual
}

func (r refusal) verify(t *testing.T, w world) {
	t.Helper()
	rule := verify.Rule{Signers: trust.Signers{must(trust.Key(w.key.Public()))}}
	if r.rule != nil {
		r.rule(&rule)
	}
	o := verify.Options{Rules: verify.Always(rule), Layers: true, Registry: quick(), Now: created().Add(24 * time.Hour)}
	if r.edit != nil {
		r.edit(&o)
	}
	report, err := verify.Verify(t.Context(), w.dest+"/minio:1", o)
	if err == nil {
		t.Fatalf("taken: %+v", report)
	}
	if got := classOf(t, err); got != r.want {
		t.Fatalf("error %v, want %v", err, r.want)
	}
	if report.OK {
		t.Error("the report says that all is well")
	}
	if r.check == "" {
		return
	}
	at := slices.IndexFunc(report.Findings, func(f verify.Finding) bool { return !f.OK })
	if at < 0 {
		t.Fatalf("no finding failed: %+v", report)
	}
	if f := report.Findings[at]; f.Check != r.check || f.Found == "" || f.Expected == "" || f.Advice == "" || f.Class != r.want {
		t.Errorf("first finding that failed: %+v, want %s", f, r.check)
	}
}
