package keyless_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/keyless"
	"github.com/shudl/shudl-assemble/recipes"
)

const (
	who     = "release@example.org"
	issuer  = "https://issuer.example.org"
	subject = recipes.Digest("f00dfeed00000000000000000000000000000000000000000000000000000001")
)

func statement(t *testing.T) []byte {
	t.Helper()
	return must(attest.NewStatement("ghcr.io/org/repo/postgresql", subject, attest.PredicateSPDX, []byte(`{"spdxVersion":"SPDX-2.3"}`)))
}

// readAs checks a bundle as a verifier of another machine that trusts an
// identity in a world.
func readAs(t *testing.T, w *world, name string, log bool, content []byte) error {
	t.Helper()
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if log {
		options = append(options, verify.WithTransparencyLog(1))
	}
	v, err := verify.NewVerifier(must(root.NewTrustedRootFromPath(w.trustedRoot())), options...)
	if err != nil {
		t.Fatal(err)
	}
	match := must(verify.NewShortCertificateIdentity(issuer, "", name, ""))
	sum := must(hex.DecodeString(string(subject)))
	_, err = v.Verify(must(attest.ParseBundle(content)).Bundle,
		verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), verify.WithCertificateIdentity(match)))
	return err
}

func TestBundles(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ stamps, logs bool }{
		"timestamp authority": {true, false}, "log": {false, true}, "both": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.signer(who, c.stamps, c.logs)
			if s.ID() != who || s.Issuer() != issuer || s.Classic() != c.stamps || s.Repeats() {
				t.Errorf("signer %s %s %t", s.ID(), s.Issuer(), s.Classic())
			}
			b, err := s.Bundle(t.Context(), statement(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := readAs(t, w, who, c.logs, b.Content); err != nil {
				t.Errorf("own identity: %v", err)
			}
			if err := readAs(t, w, "somebody@example.org", c.logs, b.Content); err == nil {
				t.Error("another identity is taken")
			}
			if !s.Signed(attest.BundleItem(b.Content)) {
				t.Error("own bundle is not known")
			}
			if w.signer("somebody@example.org", c.stamps, c.logs).Signed(attest.BundleItem(b.Content)) {
				t.Error("another's bundle is taken for one's own")
			}
		})
	}
}

// asCosign checks a classic item with cosign's own library.
func asCosign(t *testing.T, w *world, item attest.Item, identity string) error {
	t.Helper()
	var stamp bundle.RFC3161Timestamp
	if err := json.Unmarshal([]byte(item.Annotations[attest.AnnotationTimestamp]), &stamp); err != nil {
		t.Fatal(err)
	}
	options := []static.Option{
		static.WithLayerMediaType(types.MediaType(item.MediaType)), static.WithRFC3161Timestamp(&stamp),
		static.WithCertChain([]byte(item.Annotations[attest.AnnotationCertificate]), []byte(item.Annotations[attest.AnnotationChain])),
	}
	var sig oci.Signature
	var err error
	if item.MediaType == attest.MediaTypeDSSE {
		sig, err = static.NewAttestation(item.Content, options...)
	} else {
		sig, err = static.NewSignature(item.Content, item.Annotations[attest.AnnotationSignature], options...)
	}
	if err != nil {
		t.Fatal(err)
	}
	check := &cosign.CheckOpts{
		TrustedMaterial: must(root.NewTrustedRootFromPath(w.trustedRoot())), UseSignedTimestamps: true,
		IgnoreTlog: true, IgnoreSCT: true, Offline: true,
		Identities: []cosign.Identity{{Issuer: issuer, Subject: identity}},
	}
	hash := v1.Hash{Algorithm: "sha256", Hex: string(subject)}
	if item.MediaType == attest.MediaTypeDSSE {
		check.ClaimVerifier = cosign.IntotoSubjectClaimVerifier
		_, err = cosign.VerifyBlobAttestation(t.Context(), sig, hash, check)
		return err
	}
	check.ClaimVerifier = cosign.SimpleClaimVerifier
	_, err = cosign.VerifyImageSignature(t.Context(), sig, hash, check)
	return err
}

func TestClassic(t *testing.T) {
	w := newWorld(t)
	s := w.signer(who, true, true)
	signature, err := s.Signature(t.Context(), must(attest.Payload("ghcr.io/org/repo/postgresql", subject)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Bundle(t.Context(), statement(t))
	if err != nil {
		t.Fatal(err)
	}
	attestation, err := s.Attestation(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	stranger := w.signer("somebody@example.org", true, true)
	for name, item := range map[string]attest.Item{"signature": signature, "attestation": attestation} {
		if !s.Signed(item) || stranger.Signed(item) {
			t.Errorf("%s: whose it is", name)
		}
		if err := asCosign(t, w, item, who); err != nil {
			t.Errorf("%s: cosign: %v", name, err)
		}
		if err := asCosign(t, w, item, "somebody@example.org"); err == nil {
			t.Errorf("%s: cosign takes it for another's", name)
		}
	}

	without := w.signer(who, false, true)
	if _, err := without.Signature(t.Context(), signature.Content); err == nil {
		t.Error("a classic signature without a timestamp")
	}
	if _, err := without.Attestation(t.Context(), b); err == nil {
		t.Error("a classic attestation without a timestamp")
	}
}

// One certificate serves while it is valid; then there is a new one of the
// same identity.
func TestCertificatesAreRenewed(t *testing.T) {
	w := newWorld(t)
	s := w.signer(who, true, false)
	for range 3 {
		if _, err := s.Bundle(t.Context(), statement(t)); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.issued.Load(); n != 1 {
		t.Errorf("%d certificates while one was valid", n)
	}
	w.valid = time.Minute
	old := must(w.signer(who, true, false).Bundle(t.Context(), statement(t)))
	before := w.issued.Load()
	short := w.signer(who, true, false)
	if _, err := short.Bundle(t.Context(), statement(t)); err != nil {
		t.Fatal(err)
	}
	if n := w.issued.Load() - before; n != 2 {
		t.Errorf("%d certificates, want one for each use when they end soon", n)
	}
	// A bundle whose certificate ends is signed again for its classic form.
	w.valid = 10 * time.Minute
	item, err := short.Attestation(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if string(item.Content) == string(old.Envelope) {
		t.Error("the envelope is the old one")
	}
	if err := asCosign(t, w, item, who); err != nil {
		t.Error(err)
	}
}

func TestIdentityStaysTheSame(t *testing.T) {
	w := newWorld(t)
	w.valid = time.Minute
	o := w.options(who, true, false)
	o.Token = w.file("token", []byte(token(who)+"\n"))
	s, err := keyless.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Token, []byte(token("somebody@example.org")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bundle(t.Context(), statement(t)); !errors.Is(err, keyless.ErrIdentity) {
		t.Errorf("error %v, want ErrIdentity", err)
	}
}

func TestServicesThatFailForAMoment(t *testing.T) {
	w := newWorld(t)
	w.failing.Store(1)
	if _, err := w.signer(who, true, true).Signature(t.Context(), must(attest.Payload("minio", subject))); err != nil {
		t.Error(err)
	}
	s := w.signer(who, false, true)
	w.failing.Store(2)
	if _, err := s.Bundle(t.Context(), statement(t)); err != nil {
		t.Error(err)
	}
	w.failing.Store(1 << 20)
	if _, err := s.Bundle(t.Context(), statement(t)); err == nil {
		t.Error("no error")
	}
}

// Nothing is handed out that readers of the trusted root would refuse.
func TestRootOfAnotherWorld(t *testing.T) {
	w, elsewhere := newWorld(t), newWorld(t)
	o := w.options(who, true, true)
	o.TrustedRoot = elsewhere.trustedRoot()
	if _, err := keyless.New(t.Context(), o); !errors.Is(err, keyless.ErrConfig) {
		t.Errorf("another certificate authority: %v", err)
	}
	// The same authority of certificates, another of timestamps.
	elsewhere.root, elsewhere.fulcio = w.root, w.fulcio
	o.TrustedRoot = elsewhere.trustedRoot()
	s, err := keyless.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bundle(t.Context(), statement(t)); !errors.Is(err, keyless.ErrConfig) {
		t.Errorf("another timestamp authority and log: %v", err)
	}
	if _, err := s.Signature(t.Context(), must(attest.Payload("minio", subject))); !errors.Is(err, keyless.ErrConfig) {
		t.Errorf("another timestamp authority: %v", err)
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	clear := w.file("clear.json", []byte(strings.ReplaceAll(string(must(os.ReadFile(w.signingConfig(true, false)))), w.server.URL, "http://fulcio.example.org")))
	for name, c := range map[string]struct {
		change func(*keyless.Options)
		want   error
	}{
		"no trusted root":    {func(o *keyless.Options) { o.TrustedRoot = "" }, keyless.ErrConfig},
		"no signing config":  {func(o *keyless.Options) { o.SigningConfig = "" }, keyless.ErrConfig},
		"missing file":       {func(o *keyless.Options) { o.SigningConfig += ".missing" }, keyless.ErrConfig},
		"no log, no stamp":   {func(o *keyless.Options) { o.SigningConfig = w.signingConfig(false, false) }, keyless.ErrConfig},
		"token in the clear": {func(o *keyless.Options) { o.SigningConfig = clear }, keyless.ErrConfig},
		"no token":           {func(o *keyless.Options) { o.Token = "" }, keyless.ErrIdentity},
		"not a token":        {func(o *keyless.Options) { o.Token = w.file("t", []byte("hello")) }, keyless.ErrIdentity},
		"refused":            {func(o *keyless.Options) { o.Token = token("nobody@example.org") }, keyless.ErrIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
				t.Setenv(variable, "")
				os.Unsetenv(variable)
			}
			o := w.options(who, true, false)
			c.change(&o)
			if _, err := keyless.New(t.Context(), o); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

// Tokens are found where GitLab and GitHub Actions have them.
func TestAmbientTokens(t *testing.T) {
	w := newWorld(t)
	o := w.options("", true, false)
	o.Token = ""
	t.Run("GitLab", func(t *testing.T) {
		t.Setenv("SIGSTORE_ID_TOKEN", token(who))
		if s, err := keyless.New(t.Context(), o); err != nil || s.ID() != who {
			t.Errorf("%v", err)
		}
	})
	t.Run("GitHub Actions", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") != "bearer job" || req.URL.Query().Get("audience") != "sigstore" {
				http.Error(rw, "who are you?", http.StatusForbidden)
				return
			}
			json.NewEncoder(rw).Encode(map[string]string{"value": token(who)})
		}))
		t.Cleanup(server.Close)
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", server.URL+"/?api-version=2.0")
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job")
		if s, err := keyless.New(t.Context(), o); err != nil || s.ID() != who {
			t.Errorf("%v", err)
		}
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another")
		if _, err := keyless.New(t.Context(), o); !errors.Is(err, keyless.ErrIdentity) {
			t.Errorf("refused: %v", err)
		}
	})
}
