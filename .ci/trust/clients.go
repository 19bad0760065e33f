package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Names of clients.
const (
	cosign2 = "cosign 2.6.5"
	cosign3 = "cosign 3.1.3"
)

// client is a command line that reads what was signed.
type client struct{ name, path string }

// trustIn is what a reader is told to trust: a public key, or an identity.
type trustIn struct {
	key              string
	root             string
	identity, issuer string
}

// flags are cosign's. A classic signature has room for a timestamp and none
// for an entry of Rekor's second version; and version 2 takes a trusted root
// for attestations in bundles only, else the certificates themselves.
func (t trustIn) flags(name string, classic bool) []string {
	if t.key != "" {
		return []string{"--key", t.key, "--trusted-root", t.root, "--insecure-ignore-tlog=true"}
	}
	// Fulcio is started without a log of certificates.
	flags := []string{"--certificate-identity", t.identity, "--certificate-oidc-issuer", t.issuer,
		"--use-signed-timestamps", "--insecure-ignore-sct"}
	if classic {
		flags = append(flags, "--insecure-ignore-tlog=true")
	}
	if classic && name == cosign2 {
		dir := filepath.Dir(t.root)
		return append(flags, "--ca-roots", dir+"/fulcio.crt", "--timestamp-certificate-chain", dir+"/tsa.crt")
	}
	return append(flags, "--trusted-root", t.root)
}

// readsClassic says whether a client reads the classic form.
func (c client) readsClassic(command, format string, s subject) bool {
	return format == "classic" || s.layout && format == "dual" && (c.name == cosign2 || command == "index")
}

// subject is what a client is asked about: an image in a registry, or the one
// image of a layout.
type subject struct {
	ref    string // NAME@DIGEST, or a folder
	layout bool
	digest string // sha256:…
}

func (s subject) args() []string {
	if s.layout {
		return []string{"--local-image", s.ref}
	}
	return []string{s.ref}
}

// ours is how the product names it.
func (s subject) ours() string {
	if s.layout {
		return "oci:" + s.ref + "@" + s.digest
	}
	return s.ref
}

// errRefused is a client's refusal, as opposed to an answer that is not
// understood.
var errRefused = errors.New("refused")

// output runs a command and returns its standard output.
func output(ctx context.Context, env []string, path string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %w", errRefused, err)
		}
		return nil, fmt.Errorf("%s %s: %w\n%s%s", path, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.Bytes(), nil
}

// predicateTypes are the types that cosign has short names for.
func predicateTypes() map[string]string {
	return map[string]string{
		"spdx": "https://spdx.dev/Document", "cyclonedx": "https://cyclonedx.org/bom", "slsa": "https://slsa.dev/provenance/v1",
	}
}

// ask runs a command of cosign's on a subject and holds its answer to what it
// was asked.
func (c client) ask(ctx context.Context, env []string, command, format string, t trustIn, s subject) error {
	flags := t.flags(c.name, c.readsClassic(command, format, s))
	switch command {
	case "verify", "index":
		out, err := output(ctx, env, c.path, append(append([]string{"verify"}, flags...), s.args()...)...)
		if err != nil {
			return err
		}
		return saysDigest(out, s)
	case "spdx", "cyclonedx", "slsa":
		name := map[string]string{"spdx": "spdxjson", "cyclonedx": "cyclonedx", "slsa": "slsaprovenance1"}[command]
		out, err := output(ctx, env, c.path, append(append([]string{"verify-attestation", "--type", name}, flags...), s.args()...)...)
		if err != nil {
			return err
		}
		got, err := predicates(out, s.digest)
		if err == nil && got[predicateTypes()[command]] == 0 {
			err = fmt.Errorf("statements of %v only", got)
		}
		return err
	case "tree":
		out, err := output(ctx, env, c.path, "tree", "--experimental-oci11", s.ref)
		if err != nil {
			return err
		}
		return saysTree(string(out), format, c.name)
	case "download":
		out, err := output(ctx, env, c.path, "download", "attestation", s.ref)
		if err != nil {
			return err
		}
		got, err := predicates(out, s.digest)
		for _, predicate := range predicateTypes() {
			if err == nil && got[predicate] != forms(format) {
				err = fmt.Errorf("statements of %v, want %d of %s", got, forms(format), predicate)
			}
		}
		return err
	}
	return fmt.Errorf("no command %q", command)
}

// forms is how many times each statement is there.
func forms(format string) int {
	if format == "dual" {
		return 2
	}
	return 1
}

// saysDigest holds the output of cosign verify to a digest. Of bundles in a
// layout, version 3.1.3 verifies the digest and prints none.
func saysDigest(out []byte, s subject) error {
	var payloads []struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(out, &payloads); err != nil {
		return fmt.Errorf("%w: %.200s", err, out)
	}
	if len(payloads) == 0 {
		return errors.New("no payload")
	}
	for _, p := range payloads {
		if got := p.Critical.Image.Digest; got != s.digest && !(s.layout && got == "") {
			return fmt.Errorf("verified %s, not %s", got, s.digest)
		}
	}
	return nil
}

// predicates counts the statements in a client's output, envelopes or
// bundles, a line each, by their type; all must speak of digest.
func predicates(out []byte, digest string) (map[string]int, error) {
	got := map[string]int{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for decoder.More() {
		var line struct {
			Payload      string `json:"payload"`
			DSSEEnvelope struct {
				Payload string `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("%w: %.200s", err, out)
		}
		raw, err := base64.StdEncoding.DecodeString(line.Payload + line.DSSEEnvelope.Payload)
		if err != nil {
			return nil, err
		}
		var s struct {
			PredicateType string `json:"predicateType"`
			Subject       []struct {
				Digest map[string]string `json:"digest"`
			} `json:"subject"`
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("statement: %w: %.200s", err, raw)
		}
		if len(s.Subject) != 1 || "sha256:"+s.Subject[0].Digest["sha256"] != digest {
			return nil, fmt.Errorf("a statement about %v, not %s", s.Subject, digest)
		}
		got[s.PredicateType]++
	}
	return got, nil
}

// saysTree holds the output of cosign tree to the forms that must be there.
func saysTree(out, format, name string) error {
	want := map[string]int{}
	if format != "bundle" {
		want["Attestations for an image tag"], want["Signatures for an image tag"] = 1, 1
	}
	if format != "classic" {
		// Version 2 has the media type where 3 has the predicate's.
		if name == cosign2 {
			want["application/vnd.dev.sigstore.bundle.v0.3+json artifacts via OCI referrer"] = 4
		} else {
			want["https://sigstore.dev/cosign/sign/v1 artifacts via OCI referrer"] = 1
			for _, predicate := range predicateTypes() {
				want[predicate+" artifacts via OCI referrer"] = 1
			}
		}
	}
	for words, n := range want {
		if got := strings.Count(out, words); got < n {
			return fmt.Errorf("%q is there %d times, want %d:\n%s", words, got, n, out)
		}
	}
	return nil
}
