package trust_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/attest/attesttest"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/trust/trusttest"
	"github.com/shudl/shudl-assemble/recipes"
)

const (
	subject = recipes.Digest("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	other   = recipes.Digest("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")
)

func TestKey(t *testing.T) {
	key, wrong := attesttest.NewKey(t), attesttest.NewKey(t)
	mine := trust.Signers{must(trust.Key(key.Public()))}
	either := trust.Signers{must(trust.Key(wrong.Public())), must(trust.Key(key.Public()))}
	for name, item := range items(t, key, subject) {
		for _, signers := range []trust.Signers{mine, either} {
			a, err := signers.Check(item, subject)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if a.By != "key "+key.ID() || a.Repository != repository || !a.At.IsZero() {
				t.Errorf("%s: %+v", name, a)
			}
			if a.Statement == nil != (name == "signature") {
				t.Errorf("%s: statement %v", name, a.Statement)
			}
		}
		if _, err := mine.Check(item, other); !errors.Is(err, trust.ErrSubject) {
			t.Errorf("%s of another image: %v", name, err)
		}
		if _, err := (trust.Signers{must(trust.Key(wrong.Public()))}).Check(item, subject); !errors.Is(err, trust.ErrSigner) {
			t.Errorf("%s by another key: %v", name, err)
		}
		if _, err := (trust.Signers{}).Check(item, subject); !errors.Is(err, trust.ErrSigner) {
			t.Errorf("%s with nobody trusted: %v", name, err)
		}
	}
}

func identity(t *testing.T, o trust.IdentityOptions) trust.Signers {
	t.Helper()
	s, err := trust.Identity(o)
	if err != nil {
		t.Fatal(err)
	}
	return trust.Signers{s}
}

func TestIdentity(t *testing.T) {
	a := must(trusttest.New())
	right := trust.IdentityOptions{Identity: who, Issuer: issuer, Root: a, IgnoreSCT: true}
	loose := trust.IdentityOptions{IdentityRegexp: `^release@`, IssuerRegexp: `example\.org$`, Root: a, IgnoreSCT: true, IgnoreLog: true}
	refused := map[string]trust.IdentityOptions{
		"another identity":            {Identity: "mallory@example.org", Issuer: issuer, Root: a, IgnoreSCT: true},
		"another issuer":              {Identity: who, Issuer: "https://mallory.example.org", Root: a, IgnoreSCT: true},
		"expression does not match":   {IdentityRegexp: `^mallory`, Issuer: issuer, Root: a, IgnoreSCT: true},
		"issuer's does not match":     {Identity: who, IssuerRegexp: `^https://mallory`, Root: a, IgnoreSCT: true},
		"another authority":           {Identity: who, Issuer: issuer, Root: must(trusttest.New()), IgnoreSCT: true},
		"another authority, no log":   {Identity: who, Issuer: issuer, Root: must(trusttest.New()), IgnoreSCT: true, IgnoreLog: true},
		"no certificate transparency": {Identity: who, Issuer: issuer, Root: a},
	}
	for name, item := range items(t, trusttest.Signer{Authority: a, Identity: who, Issuer: issuer}, subject) {
		for _, o := range []trust.IdentityOptions{right, loose} {
			got, err := identity(t, o).Check(item, subject)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got.By != who+" (issuer "+issuer+")" || got.At.IsZero() || got.Repository != repository {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if _, err := identity(t, right).Check(item, other); !errors.Is(err, trust.ErrSubject) {
			t.Errorf("%s of another image: %v", name, err)
		}
		for why, o := range refused {
			_, err := identity(t, o).Check(item, subject)
			if !errors.Is(err, trust.ErrSigner) {
				t.Errorf("%s, %s: %v", name, why, err)
			} else if !strings.Contains(err.Error(), who) {
				t.Errorf("%s, %s: the error does not say whose it is: %v", name, why, err)
			}
		}
		changed := item
		changed.Content = []byte(strings.ReplaceAll(string(item.Content), "sha256", "sha257"))
		if name != "signature" {
			changed.Content = []byte(strings.Replace(string(item.Content), "payload\":\"e", "payload\":\"f", 1))
		}
		if string(changed.Content) == string(item.Content) {
			t.Fatalf("%s: the test changed nothing", name)
		}
		if _, err := identity(t, right).Check(changed, subject); err == nil {
			t.Errorf("%s with changed content is taken", name)
		}
		if _, err := (trust.Signers{must(trust.Key(attesttest.NewKey(t).Public()))}).Check(item, subject); !errors.Is(err, trust.ErrSigner) {
			t.Errorf("%s where a key is trusted: %v", name, err)
		}
	}
	for name, item := range items(t, attesttest.NewKey(t), subject) {
		if _, err := identity(t, right).Check(item, subject); !errors.Is(err, trust.ErrSigner) {
			t.Errorf("%s by a key where an identity is trusted: %v", name, err)
		}
	}
}

// Proofs of time are bound to their signature, and one is needed.
func TestProofs(t *testing.T) {
	a := must(trusttest.New())
	logged := identity(t, trust.IdentityOptions{Identity: who, Issuer: issuer, Root: a, IgnoreSCT: true})
	stamped := identity(t, trust.IdentityOptions{Identity: who, Issuer: issuer, Root: a, IgnoreSCT: true, IgnoreLog: true})
	const log, stamp, cert = trusttest.AnnotationLog, attest.AnnotationTimestamp, attest.AnnotationCertificate
	signer := trusttest.Signer{Authority: a, Identity: who, Issuer: issuer}
	for _, name := range []string{"signature", "attestation"} {
		foreign := items(t, signer, subject)[name]
		for _, test := range []struct {
			what            string
			edit            func(map[string]string)
			logged, stamped bool
		}{
			{"as it is", func(map[string]string) {}, true, true},
			{"no timestamp", func(m map[string]string) { delete(m, stamp) }, true, false},
			{"no log", func(m map[string]string) { delete(m, log) }, false, true},
			{"neither", func(m map[string]string) { delete(m, log); delete(m, stamp) }, false, false},
			{"timestamp of another signature", func(m map[string]string) { m[stamp] = foreign.Annotations[stamp] }, true, false},
			{"entry of another signature", func(m map[string]string) { m[log] = foreign.Annotations[log] }, false, true},
			{"entry that does not parse", func(m map[string]string) { m[log] = "{}" }, false, false},
			{"timestamp that does not parse", func(m map[string]string) { m[stamp] = "[]" }, false, false},
			{"certificate of another signature", func(m map[string]string) {
				m[cert] = foreign.Annotations[cert]
			}, false, false},
			{"no certificate", func(m map[string]string) { delete(m, cert) }, false, false},
			{"certificate that does not parse", func(m map[string]string) { m[cert] = "none" }, false, false},
			{"chain that does not parse", func(m map[string]string) {
				m[attest.AnnotationChain] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
			}, false, false},
		} {
			item := items(t, signer, subject)[name]
			test.edit(item.Annotations)
			if _, err := logged.Check(item, subject); (err == nil) != test.logged {
				t.Errorf("%s, %s, log wanted: %v", name, test.what, err)
			}
			if _, err := stamped.Check(item, subject); (err == nil) != test.stamped {
				t.Errorf("%s, %s, log not wanted: %v", name, test.what, err)
			}
		}
	}
}

func TestExpiredCertificate(t *testing.T) {
	a := must(trusttest.New())
	cert, private, trusted := expired(t, a)
	content := must(attest.Payload(repository, subject))
	signature := must(sign(private, content))
	signers := identity(t, trust.IdentityOptions{Identity: who, Issuer: issuer, Root: trusted, IgnoreSCT: true, IgnoreLog: true})
	for what, stamp := range map[string][]byte{"none": nil, "after its end": must(a.TimestampResponse(signature))} {
		item := trust.Item{Form: trust.ClassicSignature, Content: content, Annotations: must(a.Annotations(trusttest.Proofs{Certificate: cert, Timestamp: stamp}))}
		item.Annotations[attest.AnnotationSignature] = base64.StdEncoding.EncodeToString(signature)
		if _, err := signers.Check(item, subject); !errors.Is(err, trust.ErrSigner) {
			t.Errorf("expired certificate, timestamp %s: %v", what, err)
		}
	}
}

// A real signature of a public workflow, in a public log and with its
// certificate in another: the one thing that is wrong with it is that it
// speaks of a package, not of our image.
func TestPublicGood(t *testing.T) {
	b := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json")
	material := must(b.VerificationContent())
	entry := b.GetVerificationMaterial().GetTlogEntries()[0]
	item := trust.Item{
		Form:    trust.ClassicAttestation,
		Content: must(json.Marshal(must(b.Envelope()).RawEnvelope())),
		Annotations: map[string]string{
			attest.AnnotationCertificate: string(must(cryptoutils.MarshalCertificateToPEM(material.Certificate()))),
			trusttest.AnnotationLog:      must(trusttest.LogRecord(entry, entry.InclusionPromise.SignedEntryTimestamp)),
		},
	}
	o := trust.IdentityOptions{
		Identity: "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
		Issuer:   "https://token.actions.githubusercontent.com",
		Root:     data.TrustedRoot(t, "public-good.json"),
	}
	if _, err := identity(t, o).Check(item, subject); !errors.Is(err, trust.ErrSubject) {
		t.Errorf("error %v, want ErrSubject: the signature itself is good", err)
	}
	o.Identity += "x"
	if _, err := identity(t, o).Check(item, subject); !errors.Is(err, trust.ErrSigner) {
		t.Errorf("another identity: %v", err)
	}
	o.Identity = strings.TrimSuffix(o.Identity, "x")
	promise := append([]byte{}, entry.InclusionPromise.SignedEntryTimestamp...)
	promise[len(promise)-1] ^= 1
	item.Annotations[trusttest.AnnotationLog] = must(trusttest.LogRecord(entry, promise))
	if _, err := identity(t, o).Check(item, subject); !errors.Is(err, trust.ErrSigner) {
		t.Errorf("a promise that the log did not make: %v", err)
	}
}

func TestConfig(t *testing.T) {
	a := must(trusttest.New())
	full := trust.IdentityOptions{Identity: who, Issuer: issuer, Root: a}
	if _, err := trust.Identity(full); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*trust.IdentityOptions){
		"no identity":         func(o *trust.IdentityOptions) { o.Identity = "" },
		"no issuer":           func(o *trust.IdentityOptions) { o.Issuer = "" },
		"no root":             func(o *trust.IdentityOptions) { o.Root = nil },
		"empty root":          func(o *trust.IdentityOptions) { o.Root = &root.BaseTrustedMaterial{} },
		"bad expression":      func(o *trust.IdentityOptions) { o.IdentityRegexp = "(" },
		"bad one for issuers": func(o *trust.IdentityOptions) { o.IssuerRegexp = "(" },
		"no log":              func(o *trust.IdentityOptions) { o.Root = only{a, false, true, true} },
		"no SCT log":          func(o *trust.IdentityOptions) { o.Root = only{a, true, false, true} },
		"nobody says when": func(o *trust.IdentityOptions) {
			o.Root, o.IgnoreLog = only{a, true, true, false}, true
		},
	} {
		o := full
		edit(&o)
		if _, err := trust.Identity(o); !errors.Is(err, trust.ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
	if _, err := trust.ReadRoot("/nonexistent"); !errors.Is(err, trust.ErrConfig) {
		t.Errorf("missing root: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	key := attesttest.NewKey(f)
	f.Add(0, []byte(`{"critical":{"type":"cosign container image signature"}}`), "AAAA", "", "", "{}")
	f.Add(1, []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"AAAA"}]}`), "", "", "", "")
	f.Add(2, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":""}},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AAAA"}]}}`), "", "", "", "")
	f.Add(2, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{"rawBytes":""},"tlogEntries":[{}]},"dsseEnvelope":{}}`), "", "", "", "")
	f.Add(1, []byte(`{}`), "", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", `{"Payload":{"body":"e30=","logID":"00"}}`, `{"SignedRFC3161Timestamp":"MAA="}`)
	trusted := must(trusttest.New())
	signers := trust.Signers{
		must(trust.Key(key.Public())),
		must(trust.Identity(trust.IdentityOptions{IdentityRegexp: ".*", IssuerRegexp: ".*", Root: trusted, IgnoreSCT: true})),
		must(trust.Identity(trust.IdentityOptions{IdentityRegexp: ".*", IssuerRegexp: ".*", Root: trusted, IgnoreSCT: true, IgnoreLog: true})),
	}
	f.Fuzz(func(t *testing.T, form int, content []byte, signature, cert, log, stamp string) {
		item := trust.Item{Form: trust.Form(form % 3), Content: content, Annotations: map[string]string{
			attest.AnnotationSignature: signature, attest.AnnotationCertificate: cert, attest.AnnotationChain: cert,
			trusttest.AnnotationLog: log, attest.AnnotationTimestamp: stamp,
		}}
		item.Claimed()
		if a, err := signers.Check(item, subject); err == nil {
			t.Errorf("taken: %+v", a)
		}
	})
}
