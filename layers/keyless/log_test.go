package keyless_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/tlog"
)

func base16(s string) ([]byte, error) { return hex.DecodeString(s) }

// log answers as a Rekor log, version 1, does for a DSSE envelope.
func (w *world) log(rw http.ResponseWriter, req *http.Request) {
	if w.fails(rw) {
		return
	}
	var proposed struct {
		Kind string `json:"kind"`
		Spec struct {
			ProposedContent struct {
				Envelope  string   `json:"envelope"`
				Verifiers [][]byte `json:"verifiers"`
			} `json:"proposedContent"`
		} `json:"spec"`
	}
	var envelope dsse.Envelope
	if err := json.NewDecoder(req.Body).Decode(&proposed); err != nil || proposed.Kind != "dsse" ||
		json.Unmarshal([]byte(proposed.Spec.ProposedContent.Envelope), &envelope) != nil {
		http.Error(rw, "no entry", http.StatusBadRequest)
		return
	}
	block, _ := pem.Decode(proposed.Spec.ProposedContent.Verifiers[0])
	entry, err := w.virtual.GenerateTlogEntry(must(x509.ParseCertificate(block.Bytes)), &envelope,
		must(base64.StdEncoding.DecodeString(envelope.Signatures[0].Sig)), time.Now().Unix(), true)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.logged.Add(1)
	e := entry.TransparencyLogEntry()
	proof := must(w.virtual.GetInclusionProof(e.CanonicalizedBody))
	promise := must(w.virtual.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(e.CanonicalizedBody), IntegratedTime: e.IntegratedTime,
		LogIndex: e.LogIndex, LogID: hex.EncodeToString(e.LogId.KeyId),
	}))
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("ETag", "entry")
	rw.Header().Set("Location", "/api/v1/log/entries/entry")
	rw.WriteHeader(http.StatusCreated)
	json.NewEncoder(rw).Encode(map[string]any{"entry": map[string]any{
		"body": e.CanonicalizedBody, "integratedTime": e.IntegratedTime,
		"logID": hex.EncodeToString(e.LogId.KeyId), "logIndex": e.LogIndex,
		"verification": map[string]any{
			"signedEntryTimestamp": promise, "inclusionProof": proof,
		},
	}})
}
