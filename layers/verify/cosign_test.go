package verify_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// The cosign command, version 2, takes what we sign and refuses what it must.
func TestCosignCommand(t *testing.T) {
	cosign, err := exec.LookPath("cosign")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("cosign is not installed, and CI must have it")
		}
		t.Skip("cosign is not installed: `go install github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5`")
	}
	dir, dest := t.TempDir(), destinations(t)["registry"]
	key, _, err := attest.UserKey(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, public, err := attest.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong, root := filepath.Join(dir, "wrong.pub"), filepath.Join(dir, "trusted_root.json")
	write(t, wrong, public)
	write(t, root, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`))
	right := filepath.Join(dir, attest.PublicKeyFile)

	m := spec{name: "minio", content: "content", archs: []string{"amd64", "arm64"}}.make(t)
	repo := push(t, dest, m, key, attest.Dual)
	index := manifestAt(t, repo, "1")
	unsigned := publish.Manifest{MediaType: index.MediaType, Raw: append(index.Raw, '\n')}
	retag(t, repo, unsigned, "2")
	amd64 := m.release.Images[0].Manifest
	platform := repo.Reference(publish.Manifest{Raw: amd64}.Digest().String())

	verifyWith := func(command []string, key, ref string) error {
		args := append(command, "--key", key, "--insecure-ignore-tlog=true", "--trusted-root", root, ref)
		cmd := exec.CommandContext(t.Context(), cosign, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "TUF_ROOT="+filepath.Join(dir, "tuf"))
		out, err := cmd.CombinedOutput()
		t.Logf("%s: %v\n%.300s", strings.Join(args, " "), err, out)
		return err
	}
	attestation := []string{"verify-attestation", "--type", "spdxjson"}
	for _, test := range []struct {
		command  []string
		key, ref string
		ok       bool
	}{
		{[]string{"verify"}, right, repo.Reference(index.Digest().String()), true},
		{[]string{"verify"}, right, platform, true},
		{attestation, right, platform, true},
		{[]string{"verify"}, wrong, platform, false},
		{attestation, wrong, platform, false},
		{[]string{"verify"}, right, repo.Reference("2"), false},
		{attestation, right, repo.Reference(index.Digest().String()), false},
	} {
		if err := verifyWith(test.command, test.key, test.ref); (err == nil) != test.ok {
			t.Errorf("cosign %s --key %s %s: %v", test.command[0], filepath.Base(test.key), test.ref, err)
		}
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
