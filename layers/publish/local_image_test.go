package publish_test

import (
	"crypto"
	"path/filepath"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// localImage verifies a layout as `cosign verify --local-image` and
// `cosign verify-attestation --local-image` do.
func localImage(t *testing.T, dir string, key *attest.Key) (signature, attestation error) {
	t.Helper()
	verifier, err := signatureVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	o := &cosign.CheckOpts{SigVerifier: verifier, IgnoreTlog: true, Offline: true, ClaimVerifier: cosign.SimpleClaimVerifier}
	_, _, signature = cosign.VerifyLocalImageSignatures(t.Context(), dir, o)
	o.ClaimVerifier = cosign.IntotoSubjectClaimVerifier
	_, _, attestation = cosign.VerifyLocalImageAttestations(t.Context(), dir, o)
	return signature, attestation
}

func signatureVerifier(key *attest.Key) (signature.Verifier, error) {
	return signature.LoadVerifier(key.Public(), crypto.SHA256)
}

// A copy into a new folder is a layout of one tag that cosign verifies: of
// several platforms the index, of one its attestations too.
func TestCosignVerifiesCopies(t *testing.T) {
	for _, format := range []attest.Format{attest.Dual, attest.Classic} {
		for _, from := range everywhere(t) {
			t.Run(string(format)+" from "+from.name, func(t *testing.T) {
				key, stranger := attesttest.NewKey(t), attesttest.NewKey(t)
				release := postgresql().release(t, t.TempDir(), recipes.LinuxAMD64, recipes.LinuxARM64)
				mustPublish(t, from.dest, release, publish.Options{Signer: key, Format: format})
				for _, platform := range []recipes.Platform{"", recipes.LinuxAMD64, recipes.LinuxARM64} {
					dir := t.TempDir()
					if _, err := publish.Copy(t.Context(), reference(t, from.dest, "17.12"), publish.NewLayout(dir), publish.CopyOptions{Platform: platform}); err != nil {
						t.Fatal(err)
					}
					signed, attested := localImage(t, filepath.Join(dir, "postgresql"), key)
					if signed != nil || platform != "" && attested != nil {
						t.Errorf("%q: signature %v, attestation %v", platform, signed, attested)
					}
					signed, attested = localImage(t, filepath.Join(dir, "postgresql"), stranger)
					if signed == nil || attested == nil {
						t.Errorf("%q: taken with another key", platform)
					}
				}
			})
		}
	}
}

// Whatever else is in a layout, what is said of the image that cosign reads
// comes first.
func TestCosignVerifiesTheFirstImageOfMany(t *testing.T) {
	dir, store, key := t.TempDir(), t.TempDir(), attesttest.NewKey(t)
	for _, version := range []string{"17.9", "17.10", "17.11"} {
		s := postgresql()
		s.version, s.content = version, version
		r := s.release(t, store)
		r.Tags, r.Fixed = r.Tags[:1], ""
		mustPublish(t, publish.NewLayout(dir), r, publish.Options{Signer: key})
		if signed, attested := localImage(t, filepath.Join(dir, "postgresql"), key); signed != nil || attested != nil {
			t.Errorf("with %s: signature %v, attestation %v", version, signed, attested)
		}
	}
	s := postgresql()
	s.version = "18"
	r := s.release(t, store, recipes.LinuxAMD64, recipes.LinuxARM64)
	r.Tags, r.Fixed = r.Tags[:1], ""
	mustPublish(t, publish.NewLayout(dir), r, publish.Options{Signer: key})
	if signed, _ := localImage(t, filepath.Join(dir, "postgresql"), key); signed != nil {
		t.Errorf("with an index: %v", signed)
	}
}
