package publish_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

func reference(t *testing.T, dest publish.Destination, identifier string) publish.Reference {
	t.Helper()
	ref, err := publish.ParseReference(dest.String()+"/postgresql:"+identifier, quick())
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestCopyKeepsDigestsAndSignatures(t *testing.T) {
	store, key := t.TempDir(), testKey(t)
	release := postgresql().release(t, store, recipes.LinuxAMD64, recipes.LinuxARM64)
	for _, from := range everywhere(t) {
		result := mustPublish(t, from.dest, release, publish.Options{Signer: key})
		targets := everywhere(t)
		if from.name != "layout" {
			targets = targets[:1] // the layout
		}
		for _, to := range targets {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				copied, err := publish.Copy(t.Context(), reference(t, from.dest, "17.12"), to.dest, publish.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if copied.Digest != result.Digest {
					t.Errorf("digest %s, want %s", copied.Digest, result.Digest)
				}
				got, want := said(t, to.dest, release), said(t, from.dest, release)
				// Two platforms have each four manifests, the index has two.
				if !maps.Equal(got, want) || len(want) != 10 {
					t.Errorf("signatures and attestations: %v, want %v", got, want)
				}
				again, err := publish.Copy(t.Context(), reference(t, from.dest, "17.12"), to.dest, publish.Options{})
				if err != nil || again.Blobs+again.Manifests+len(again.Moved) != 0 {
					t.Errorf("again: %+v, %v", again, err)
				}
			})
		}
	}
}

// said is the digest of every signature and attestation manifest, in both
// forms.
func said(t *testing.T, dest publish.Destination, release publish.Release) map[string]string {
	t.Helper()
	repo, _ := dest.Repository(release.Name)
	digests := map[string]string{}
	manifests := [][]byte{release.Index}
	for _, img := range release.Images {
		manifests = append(manifests, img.Manifest)
	}
	for i, raw := range manifests {
		subject, _ := publish.Hex(publish.Manifest{Raw: raw}.Digest())
		tags := []string{attest.SignatureTag(subject), attest.AttestationTag(subject)}
		if i == 0 {
			tags = tags[:1] // an index has a signature, its platforms have SBOMs
		}
		for _, tag := range tags {
			d, err := repo.Resolve(t.Context(), tag)
			if err != nil {
				t.Errorf("%s: %v", dest, err)
			}
			digests[tag] = d.Digest.String()
		}
		listed, err := repo.Referrers(t.Context(), publish.SHA256(subject))
		if err != nil {
			t.Errorf("%s: %v", dest, err)
		}
		for n, d := range listed {
			digests[fmt.Sprintf("referrer %d of %s", n, subject)] = d.Digest.String()
		}
	}
	return digests
}

func TestCopyOntoOtherSignaturesKeepsBoth(t *testing.T) {
	store, one, two := t.TempDir(), testKey(t), testKey(t)
	release := postgresql().release(t, store)
	from, to := destination(t, "oci:"+t.TempDir()), destination(t, "oci:"+t.TempDir())
	mustPublish(t, from, release, publish.Options{Signer: one})
	mustPublish(t, to, release, publish.Options{Signer: two})
	if _, err := publish.Copy(t.Context(), reference(t, from, "latest"), to, publish.Options{}); err != nil {
		t.Fatal(err)
	}
	repo, _ := to.Repository("postgresql")
	for _, key := range []*attest.Key{one, two} {
		if !complete(t, repo, "latest", key) {
			t.Error("no tag")
		}
	}
}
