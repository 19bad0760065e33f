package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestLinked names what must not be linked into the command: every package
// costs all runs its tables, its start and pages of memory, used or not.
func TestLinked(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	list := exec.Command(goTool, "list", "-deps", ".")
	list.Env = append(list.Environ(), "GOPROXY=off")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	linked := strings.Fields(string(out))
	if len(linked) < 500 {
		t.Fatalf("%d packages linked: too few to be the command", len(linked))
	}
	for prefix, why := range map[string]string{
		"github.com/piprate/json-gold":                "SPDX 3 as a graph; SPDX 2.3 needs spdx/v2/v2_3 and encoding/json alone",
		"github.com/spdx/tools-golang/spdx/v3":        "the documents are SPDX 2.3",
		"github.com/sigstore/cosign/v2/cmd":           "cosign's own command; pkg/cosign does the work",
		"github.com/sigstore/cosign/v2/pkg/signature": "brings the key services of four clouds and a Kubernetes client",
		"github.com/google/ko/pkg/commands":           "ko's own command; pkg/build does the work",
		"github.com/anchore/syft/syft/pkg/cataloger":  "brings 500 packages, go-getter and the clouds' clients among them",
		"k8s.io/client-go":                            "manifests need k8s.io/api alone",
	} {
		for _, p := range linked {
			if p == prefix || strings.HasPrefix(p, prefix+"/") {
				t.Errorf("%s is linked: %s", p, why)
			}
		}
	}
}
