package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	openvex "github.com/openvex/go-vex/pkg/vex"

	"github.com/shudl/shudl-assemble/recipes"
)

var update = flag.Bool("update", false, "write the golden files anew")

// files reads the test's documents, each changed by replacing texts.
func files(t *testing.T, replace ...string) []recipes.VEX {
	t.Helper()
	var out []recipes.VEX
	for _, name := range []string{"2026-10.json", "2026-11.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := openvex.Parse([]byte(strings.NewReplacer(replace...).Replace(string(data))))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, recipes.VEX{File: "recipes/service/vex/" + name, Document: doc})
	}
	return out
}

func locked(arch string) []recipes.Artifact {
	return []recipes.Artifact{
		{Kind: recipes.KindDeb, Name: "bash", PURL: "pkg:deb/debian/bash@5.2?arch=" + arch + "&distro=debian-13"},
		{Kind: recipes.KindDeb, Name: "libfoo", PURL: "pkg:deb/debian/libfoo@1.0-1?arch=" + arch + "&distro=debian-13"},
	}
}

func document(t *testing.T, in Input) []byte {
	t.Helper()
	data, err := Document(in)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGolden holds the merged bytes, which are signed.
func TestGolden(t *testing.T) {
	data := document(t, Input{Name: "service", Files: files(t), Artifacts: locked("amd64")})
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const file = "testdata/merged.json"
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Error(diff)
	}
	if again := document(t, Input{Name: "service", Files: files(t), Artifacts: locked("amd64")}); !bytes.Equal(data, again) {
		t.Error("two documents of one input")
	}
}

// A reader finds what holds: the newest statement, and only for what is there.
func TestReadersAnswer(t *testing.T) {
	doc, err := openvex.Parse(document(t, Input{Name: "service", Files: files(t), Artifacts: locked("arm64")}))
	if err != nil {
		t.Fatal(err)
	}
	image := "pkg:oci/service@sha256:" + strings.Repeat("a", 64) + "?arch=arm64"
	if s := doc.EffectiveStatement(image, "CVE-2026-0002"); s == nil || s.Status != openvex.StatusAffected {
		t.Errorf("%+v", s)
	}
	if s := doc.EffectiveStatement("pkg:deb/debian/libfoo@1.0-1?arch=arm64&distro=debian-13", "CVE-2026-0001"); s == nil || len(s.Products) != 1 {
		t.Errorf("%+v", s)
	}
	if s := doc.EffectiveStatement("pkg:deb/debian/libfoo@1.0-1?arch=amd64", "CVE-2026-0001"); s != nil {
		t.Errorf("of another platform: %+v", s)
	}
	if s := doc.EffectiveStatement("pkg:apk/alpine/libfoo@1", "CVE-2026-0003"); s != nil {
		t.Errorf("of another distro: %+v", s)
	}
	if s := doc.EffectiveStatement(image, "CVE-2026-0004"); s != nil {
		t.Errorf("of a package of another distro: %+v", s)
	}
}

func TestEqualStatementsStandOnce(t *testing.T) {
	once := files(t)
	twice := append(files(t), once[0])
	in := Input{Name: "service", Files: once, Artifacts: locked("amd64")}
	first := document(t, in)
	in.Files = twice
	if diff := cmp.Diff(string(first), string(document(t, in))); diff != "" {
		t.Error(diff)
	}
	if len(once[0].Document.Statements[1].Products) != 3 || once[0].Document.Statements[0].Timestamp != nil {
		t.Error("merging changed a document that others share")
	}
}

func TestNothingApplies(t *testing.T) {
	all := files(t)[1:]
	all[0].Document.Statements = all[0].Document.Statements[1:]
	if data := document(t, Input{Name: "service", Files: all, Artifacts: locked("amd64")}); data != nil {
		t.Errorf("%s", data)
	}
	if data := document(t, Input{Name: "service", Artifacts: locked("amd64")}); data != nil {
		t.Errorf("%s", data)
	}
}

func TestCheck(t *testing.T) {
	l := Locked{Name: "service", Distro: recipes.Debian, Artifacts: slices.Concat(locked("amd64"), locked("arm64"))}
	if err := Check(files(t), l); err != nil {
		t.Error(err)
	}
	for want, replace := range map[string][]string{
		"recipes/service/vex/2026-10.json: statements[1].products[0]: pkg:deb/debian/libfoo@0.9?arch=amd64 is not in the lock of image service, which has 1.0-1: see whether": {
			"libfoo@1.0-1?arch=amd64", "libfoo@0.9?arch=amd64"},
		"2026-11.json: statements[0].products[0]: pkg:deb/debian/libbar@1.0-1 is not in the lock of image service": {"debian/libfoo@1.0-1\"}", "debian/libbar@1.0-1\"}"},
		"what lies inside of an artefact is a subcomponent of pkg:oci/service":                                     {`"pkg:apk/alpine/libfoo"`, `"pkg:maven/org.example/shaded"`},
		"pkg:oci/service is under_investigation for CVE-2026-0002 in another statement": {
			`, "subcomponents": [`, `, "x": [`, "2026-11-01T00:00:00Z", "2026-10-01T06:00:00Z"},
	} {
		err := Check(files(t, replace...), l)
		var one *recipes.Error
		if !errors.As(err, &one) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nwant one with %q", err, want)
		}
	}
	// On Alpine the Debian packages are the ones that are passed over.
	l.Distro, l.Artifacts = recipes.Alpine, []recipes.Artifact{
		{PURL: "pkg:apk/alpine/libfoo@1.0-r0?arch=x86_64"}, {PURL: "pkg:apk/alpine/libbar@1.0-r0?arch=x86_64"},
	}
	if err := Check(files(t), l); err != nil {
		t.Error(err)
	}
}
