package publish_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
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
	store, key := t.TempDir(), attesttest.NewKey(t)
	release := postgresql().release(t, store, recipes.LinuxAMD64, recipes.LinuxARM64)
	for _, from := range everywhere(t) {
		result := mustPublish(t, from.dest, release, publish.Options{Signer: key})
		targets := everywhere(t)
		if from.name != "layout" {
			targets = targets[:1] // the layout
		}
		for _, to := range targets {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				copied, err := publish.Copy(t.Context(), reference(t, from.dest, "17.12"), to.dest, publish.CopyOptions{})
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
				again, err := publish.Copy(t.Context(), reference(t, from.dest, "17.12"), to.dest, publish.CopyOptions{})
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
	store, one, two := t.TempDir(), attesttest.NewKey(t), attesttest.NewKey(t)
	release := postgresql().release(t, store)
	from, to := destination(t, "oci:"+t.TempDir()), destination(t, "oci:"+t.TempDir())
	mustPublish(t, from, release, publish.Options{Signer: one})
	mustPublish(t, to, release, publish.Options{Signer: two})
	if _, err := publish.Copy(t.Context(), reference(t, from, "latest"), to, publish.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	repo, _ := to.Repository("postgresql")
	for _, key := range []*attest.Key{one, two} {
		if !complete(t, repo, "latest", key) {
			t.Error("no tag")
		}
	}
}

func TestCopyWithinOneRegistryMounts(t *testing.T) {
	for _, name := range []string{"ocimem", "docker-registry"} { // ggcr's does not mount
		t.Run(name, func(t *testing.T) {
			host := registries()[name](t)
			if host == "" {
				t.Skip("docker-registry is not installed")
			}
			front := inject(t, host)
			address := serve(t, front)
			from, to := destination(t, address+"/shudl"), destination(t, address+"/mirror/of/shudl")
			release, key := postgresql().release(t, t.TempDir(), recipes.LinuxAMD64, recipes.LinuxARM64), attesttest.NewKey(t)
			mustPublish(t, from, release, publish.Options{Signer: key})
			front.disarm()
			if _, err := publish.Copy(t.Context(), reference(t, from, "17.12"), to, publish.CopyOptions{}); err != nil {
				t.Fatal(err)
			}
			mounted := 0
			for _, write := range front.written() {
				if strings.HasPrefix(write, "PUT") && !strings.Contains(write, "/manifests/") || strings.HasPrefix(write, "PATCH") {
					t.Errorf("uploaded: %s", write)
				}
				if strings.Contains(write, "mount=") {
					mounted++
				}
			}
			if mounted < 5 { // two configs, a shared base layer, a layer each
				t.Errorf("%d blobs mounted: %v", mounted, front.written())
			}
			repo, _ := to.Repository("postgresql")
			complete(t, repo, "17.12", key)
		})
	}
}

func TestCopyOfOnePlatform(t *testing.T) {
	store, key := t.TempDir(), attesttest.NewKey(t)
	release := postgresql().release(t, store, recipes.LinuxAMD64, recipes.LinuxARM64)
	from, to := destination(t, "oci:"+t.TempDir()), destination(t, "oci:"+t.TempDir())
	mustPublish(t, from, release, publish.Options{Signer: key})
	one := publish.CopyOptions{Platform: recipes.LinuxARM64}
	copied, err := publish.Copy(t.Context(), reference(t, from, "17.12"), to, one)
	if err != nil {
		t.Fatal(err)
	}
	if want := (publish.Manifest{Raw: release.Images[1].Manifest}).Digest(); copied.Digest != want {
		t.Errorf("digest %s, want %s", copied.Digest, want)
	}
	repo, _ := to.Repository("postgresql")
	if !complete(t, repo, "17.12", key) {
		t.Error("no tag")
	}
	if _, err := repo.Manifest(t.Context(), publish.Manifest{Raw: release.Images[0].Manifest}.Digest()); !errors.Is(err, publish.ErrNotFound) {
		t.Errorf("the other platform was copied too: %v", err)
	}
	// The whole goes over the part, the part not over the whole.
	if _, err := publish.Copy(t.Context(), reference(t, from, "17.12"), to, publish.CopyOptions{}); err != nil {
		t.Error(err)
	}
	_, err = publish.Copy(t.Context(), reference(t, from, "17.12"), to, one)
	if !errors.Is(err, publish.ErrPlatforms) || !strings.Contains(err.Error(), "holds linux/amd64, linux/arm64, and this is for linux/arm64") {
		t.Errorf("error %v, want ErrPlatforms", err)
	}
	_, err = publish.Copy(t.Context(), reference(t, from, "17.12"), to, publish.CopyOptions{Platform: "linux/riscv64"})
	if !errors.Is(err, publish.ErrNoTag) || !strings.Contains(err.Error(), "it is for linux/amd64, linux/arm64, not for linux/riscv64") {
		t.Errorf("error %v, want ErrNoTag", err)
	}
}

// Unsigned statements stay where images may be unsigned: in layouts.
func TestCopyOfAnUnsignedImage(t *testing.T) {
	release := postgresql().release(t, t.TempDir(), recipes.LinuxAMD64, recipes.LinuxARM64)
	from := destination(t, "oci:"+t.TempDir())
	mustPublish(t, from, release, publish.Options{})
	for _, to := range everywhere(t) {
		for range 2 {
			if _, err := publish.Copy(t.Context(), reference(t, from, "17.12"), to.dest, publish.CopyOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		repo, _ := to.dest.Repository("postgresql")
		for _, img := range release.Images {
			m := publish.Manifest{MediaType: ocispec.MediaTypeImageManifest, Raw: img.Manifest}
			said, err := publish.Unsigned(t.Context(), repo, m)
			if to.name != "layout" {
				if !errors.Is(err, publish.ErrNoTag) {
					t.Errorf("%s: statements that nobody signed: %v", to.name, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := publish.OpenUnsigned(t.Context(), repo, said[attest.PredicateSPDX], m)
			if err != nil || s.PredicateType != attest.PredicateSPDX {
				t.Errorf("%+v %v", s, err)
			}
		}
	}
}

// A list of referrers may name what is gone, or was never a referrer.
func TestCopyLeavesOutBrokenReferrers(t *testing.T) {
	real := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	var more []ocispec.Descriptor
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.Contains(req.URL.Path, "/referrers/") {
			real.ServeHTTP(w, req)
			return
		}
		answer := httptest.NewRecorder()
		real.ServeHTTP(answer, req)
		var index ocispec.Index
		if err := json.Unmarshal(answer.Body.Bytes(), &index); err != nil {
			t.Error(err)
		}
		index.Manifests = append(index.Manifests, more...)
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		json.NewEncoder(w).Encode(index)
	}))
	from, key := destination(t, host+"/shudl"), attesttest.NewKey(t)
	result := mustPublish(t, from, postgresql().release(t, t.TempDir()), publish.Options{Signer: key})
	for _, d := range []digest.Digest{digest.FromString("gone"), result.Digest} {
		more = append(more, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: 10})
	}
	to, said := destination(t, "oci:"+t.TempDir()), &heard{}
	if _, err := publish.Copy(t.Context(), reference(t, from, "latest"), to, publish.CopyOptions{Progress: said}); err != nil {
		t.Fatal(err)
	}
	if len(said.lines) != 2 || !strings.Contains(said.lines[0], "left out") {
		t.Errorf("%q", said.lines)
	}
	copied, _ := to.Repository("postgresql")
	if !complete(t, copied, "latest", key) {
		t.Error("no tag")
	}
}

// heard keeps what the user is told.
type heard struct {
	progress.Discard
	lines []string
}

func (h *heard) Say(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}
