package keyless_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"github.com/shudl/shudl-assemble/layers/keyless"
)

// world is a Sigstore in this process: it issues real certificates and
// timestamps and keeps a log, but believes every token.
type world struct {
	t        *testing.T
	server   *httptest.Server
	virtual  *ca.VirtualSigstore // its log
	valid    time.Duration       // of certificates
	issued   atomic.Int32        // certificates
	stamped  atomic.Int32
	logged   atomic.Int32
	failing  atomic.Int32 // how many of the next stamps and entries fail
	root     *x509.Certificate
	fulcio   *x509.Certificate
	fulcioCA *ecdsa.PrivateKey
	tsaCA    *x509.Certificate
	tsa      *x509.Certificate
	tsaKey   *ecdsa.PrivateKey
}

// must is for what cannot fail but by a mistake in the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, virtual: must(ca.NewVirtualSigstore()), valid: 10 * time.Minute}
	rootCert, rootKey, err := ca.GenerateRootCa()
	if err != nil {
		t.Fatal(err)
	}
	w.root = rootCert
	if w.fulcio, w.fulcioCA, err = ca.GenerateFulcioIntermediate(rootCert, rootKey); err != nil {
		t.Fatal(err)
	}
	var tsaKey *ecdsa.PrivateKey
	if w.tsaCA, tsaKey, err = ca.GenerateTSAIntermediate(rootCert, rootKey); err != nil {
		t.Fatal(err)
	}
	w.tsaKey = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	w.tsa = must(ca.GenerateTSALeafCert(time.Now().Add(-time.Minute), w.tsaKey, w.tsaCA, tsaKey))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/signingCert", w.certify)
	mux.HandleFunc("POST /stamp", w.stamp)
	mux.HandleFunc("POST /api/v1/log/entries", w.log)
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	return w
}

// token is what an issuer would sign; this world does not look.
func token(who string) string {
	part := func(v map[string]any) string {
		return base64.RawURLEncoding.EncodeToString(must(json.Marshal(v)))
	}
	claims := map[string]any{"iss": "https://issuer.example.org", "sub": who, "email": who, "email_verified": true, "aud": "sigstore"}
	return part(map[string]any{"alg": "none"}) + "." + part(claims) + ".AA"
}

// leaf certifies a key for w.valid, as Fulcio does.
func (w *world) leaf(name, issuer string, key crypto.PublicKey) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(w.issued.Add(1))), EmailAddresses: []string{name},
		NotBefore: time.Now().Add(-time.Second), NotAfter: time.Now().Add(w.valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)}},
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, w.fulcio, key, w.fulcioCA))))
}

func (w *world) certify(rw http.ResponseWriter, req *http.Request) {
	var request struct {
		PublicKeyRequest struct {
			PublicKey struct {
				Content string `json:"content"`
			} `json:"publicKey"`
		} `json:"publicKeyRequest"`
	}
	parts := strings.Split(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), ".")
	var claims struct{ Iss, Sub string }
	if err := json.NewDecoder(req.Body).Decode(&request); err != nil || len(parts) != 3 {
		http.Error(rw, "no request", http.StatusBadRequest)
		return
	}
	if body, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(body, &claims) != nil || claims.Sub == "nobody@example.org" {
		http.Error(rw, "no such person", http.StatusBadRequest)
		return
	}
	block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
	key := must(x509.ParsePKIXPublicKey(block.Bytes))
	leaf := w.leaf(claims.Sub, claims.Iss, key)
	chain := []string{}
	for _, c := range []*x509.Certificate{leaf, w.fulcio, w.root} {
		chain = append(chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	json.NewEncoder(rw).Encode(map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}}})
}

// fails says whether a request must fail, and answers it.
func (w *world) fails(rw http.ResponseWriter) bool {
	if w.failing.Add(-1) < 0 {
		return false
	}
	http.Error(rw, "later", http.StatusServiceUnavailable)
	return true
}

func (w *world) stamp(rw http.ResponseWriter, req *http.Request) {
	if w.fails(rw) {
		return
	}
	query, err := timestamp.ParseRequest(must(io.ReadAll(req.Body)))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.stamped.Add(1)
	stamp := timestamp.Timestamp{
		HashAlgorithm: query.HashAlgorithm, HashedMessage: query.HashedMessage, Time: time.Now(),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, ExtraExtensions: query.Extensions,
	}
	rw.Write(must(stamp.CreateResponseWithOpts(w.tsa, w.tsaKey, crypto.SHA256)))
}

// trustedRoot writes what readers of this world trust.
func (w *world) trustedRoot() string {
	w.t.Helper()
	day := 24 * time.Hour
	logs := map[string]*root.TransparencyLog{}
	for id, log := range w.virtual.RekorLogs() {
		raw := must(base16(id))
		log.ID = raw
		logs[id] = log
	}
	trusted := must(root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			Root: w.root, Intermediates: []*x509.Certificate{w.fulcio}, URI: w.server.URL,
			ValidityPeriodStart: time.Now().Add(-day), ValidityPeriodEnd: time.Now().Add(day),
		}}, nil,
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			Root: w.root, Intermediates: []*x509.Certificate{w.tsaCA}, Leaf: w.tsa, URI: w.server.URL + "/stamp",
			ValidityPeriodStart: time.Now().Add(-day), ValidityPeriodEnd: time.Now().Add(day),
		}}, logs))
	return w.file("trusted_root.json", must(trusted.MarshalJSON()))
}

// signingConfig writes which services sign: with a timestamp authority, with
// a log, or both.
func (w *world) signingConfig(stamps, logs bool) string {
	w.t.Helper()
	service := func(path string) []root.Service {
		return []root.Service{{URL: w.server.URL + path, MajorAPIVersion: 1, ValidityPeriodStart: time.Now().Add(-time.Hour), Operator: "test"}}
	}
	one := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	var tsas, rekors []root.Service
	if stamps {
		tsas = service("/stamp")
	}
	if logs {
		rekors = service("")
	}
	config := must(root.NewSigningConfig(root.SigningConfigMediaType02, service(""), nil, rekors, one, tsas, one))
	return w.file(fmt.Sprintf("signing_config_%t_%t.json", stamps, logs), must(config.MarshalJSON()))
}

func (w *world) file(name string, content []byte) string {
	path := filepath.Join(w.t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// options are those of somebody in this world.
func (w *world) options(who string, stamps, logs bool) keyless.Options {
	return keyless.Options{
		SigningConfig: w.signingConfig(stamps, logs), TrustedRoot: w.trustedRoot(), Token: token(who), Wait: time.Millisecond,
	}
}

func (w *world) signer(who string, stamps, logs bool) *keyless.Signer {
	w.t.Helper()
	s, err := keyless.New(w.t.Context(), w.options(who, stamps, logs))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}
