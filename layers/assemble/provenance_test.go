package assemble

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// attested reads a predicate beside a published image, its signature checked.
func attested(t *testing.T, o Options, name string, digest recipes.Digest, predicateType string) []byte {
	t.Helper()
	verifier, err := attest.NewVerifier(o.Signer.(*attest.Key).Public())
	if err != nil {
		t.Fatal(err)
	}
	repo, err := o.Dest.Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := repo.Resolve(t.Context(), attest.AttestationTag(digest))
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Manifest(t.Context(), d.Digest)
	if err != nil {
		t.Fatal(err)
	}
	items, err := attest.Read(m.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if item.Annotations[attest.AnnotationPredicate] != predicateType {
			continue
		}
		if item.Content, err = publish.ReadSmall(t.Context(), repo, item.Descriptor); err != nil {
			t.Fatal(err)
		}
		s, err := verifier.Attestation(item, digest)
		if err != nil {
			t.Fatal(err)
		}
		return s.Predicate
	}
	return nil
}

func TestProvenanceOfEveryPlatform(t *testing.T) {
	o := options(t, nil, recipes.LinuxAMD64, recipes.LinuxARM64)
	o.Builder = "https://github.com/org/repo/.github/workflows/publish.yaml@refs/heads/main"
	o.SourceDate = time.Unix(1700000000, 0)
	r := mustRun(t, o)
	base, service := r.Images[0], r.Images[1]
	for i, p := range service.Platforms {
		predicate, err := provenance.Parse(attested(t, o, "service", p.Digest, attest.PredicateSLSA))
		if err != nil {
			t.Fatal(err)
		}
		parent, _ := predicate.Parent()
		if parent.Digest.SHA256 != base.Platforms[i].Digest {
			t.Errorf("%s: parent %s, want %s", p.Platform, parent.Digest.SHA256, base.Platforms[i].Digest)
		}
		if got := predicate.RunDetails.Builder.ID; got != o.Builder {
			t.Errorf("builder %s", got)
		}
		repo, err := o.Dest.Repository("service")
		if err != nil {
			t.Fatal(err)
		}
		m, err := repo.Manifest(t.Context(), publish.SHA256(p.Digest))
		if err != nil {
			t.Fatal(err)
		}
		if err := predicate.About(provenance.Image{Name: "service", Platform: p.Platform, Manifest: m.Raw}); err != nil {
			t.Error(err)
		}
		other := provenance.Image{Name: "service", Platform: service.Platforms[1-i].Platform, Manifest: m.Raw}
		if err := predicate.About(other); err == nil {
			t.Errorf("provenance of %s passes for %s", p.Platform, other.Platform)
		}
	}
	predicate, err := provenance.Parse(attested(t, o, "base-debian", base.Platforms[0].Digest, attest.PredicateSLSA))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := predicate.Parent(); ok {
		t.Error("a base with a parent")
	}
}

// The tag's build id and what the provenance says of it are one, and no
// attestation lies beside an image that nobody signed.
func TestProvenanceNamesTheBuildID(t *testing.T) {
	o := options(t, nil)
	r := mustRun(t, o)
	predicate, err := provenance.Parse(attested(t, o, "service", r.Images[1].Platforms[0].Digest, attest.PredicateSLSA))
	if err != nil {
		t.Fatal(err)
	}
	internal := predicate.BuildDefinition.InternalParameters
	if got := "2.5-" + internal.BuildID + "-debian"; got != r.Images[1].Tags[0] || internal.Version != "2.5" {
		t.Errorf("%s, the tag is %s", got, r.Images[1].Tags[0])
	}
	unsigned := options(t, nil)
	unsigned.Signer = nil
	mustRun(t, unsigned)
	for tag := range tagsOf(t, filepath.Join(unsigned.Dest.(*publish.Layout).Dir(), "service")) {
		if strings.HasSuffix(tag, ".att") || strings.HasSuffix(tag, ".sig") {
			t.Errorf("attested: %s", tag)
		}
	}
	var m ocispec.Manifest
	readBlob(t, filepath.Join(o.Dest.(*publish.Layout).Dir(), "service"), r.Images[1].Digest, &m)
	if m.Annotations[ocispec.AnnotationVersion] != internal.Version {
		t.Errorf("version %s", m.Annotations[ocispec.AnnotationVersion])
	}
}
