package sbom_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/sbom"
)

// expected is what a lock says of the image of input.
func expected() sbom.Expected {
	in := postgresqlInput()
	want := sbom.Expected{Digest: in.Digest, Base: in.Base.Digest}
	for _, a := range in.Artifacts {
		want.Artifacts = append(want.Artifacts, a.Artifact)
	}
	return want
}

func TestCheck(t *testing.T) {
	raw, _ := describe(t, input(t, postgresql()))
	if err := sbom.Check(raw, expected()); err != nil {
		t.Error(err)
	}
	base := input(t, postgresql())
	base.Base = nil
	raw, _ = describe(t, base)
	want := expected()
	want.Base = ""
	if err := sbom.Check(raw, want); err != nil {
		t.Error(err)
	}
}

func TestCheckRefuses(t *testing.T) {
	raw, _ := describe(t, input(t, postgresql()))
	for name, test := range map[string]struct {
		change func(*sbom.Expected)
		says   string
	}{
		"another manifest": {func(e *sbom.Expected) { e.Digest = digest("other") }, "not sha256:" + string(digest("other"))},
		"another parent":   {func(e *sbom.Expected) { e.Base = digest("other") }, "its parent is"},
		"no parent":        {func(e *sbom.Expected) { e.Base = "" }, "its parent is"},
		"an artefact left": {func(e *sbom.Expected) { e.Artifacts = e.Artifacts[1:] }, "lists postgresql-17"},
		"another artefact": {func(e *sbom.Expected) { e.Artifacts[2].SHA256 = digest("other") }, exporter},
		"an artefact more": {func(e *sbom.Expected) {
			a := e.Artifacts[0]
			a.PURL = "pkg:deb/debian/evil@1"
			e.Artifacts = append(e.Artifacts, a)
		}, "pkg:deb/debian/evil@1"},
		"under another purl": {func(e *sbom.Expected) { e.Artifacts[0].PURL = "pkg:deb/debian/other@1" }, "pkg:deb/debian/other@1"},
	} {
		t.Run(name, func(t *testing.T) {
			want := expected()
			test.change(&want)
			if err := sbom.Check(raw, want); !errors.Is(err, sbom.ErrOther) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %s", err, test.says)
			}
		})
	}
	// A file whose package gives it away belongs to nobody.
	_, doc := describe(t, input(t, postgresql()))
	contains := fmt.Sprintf(`"relatedSpdxElement":"SPDXRef-%s","relationshipType":"CONTAINS"`, doc.Files[0].FileSPDXIdentifier)
	if !bytes.Contains(raw, []byte(contains)) {
		t.Fatalf("no %s", contains)
	}
	orphan := bytes.ReplaceAll(raw, []byte(contains), []byte(strings.Replace(contains, "CONTAINS", "OTHER", 1)))
	if err := sbom.Check(orphan, expected()); err == nil || !strings.Contains(err.Error(), "belongs to no package") {
		t.Errorf("a file of no package: %v", err)
	}
	if err := sbom.Check([]byte(`{"spdxVersion":"SPDX-2.2"}`), expected()); err == nil {
		t.Error("not an SBOM of ours, and taken")
	}
}
