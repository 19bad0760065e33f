package sbom_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/spdx/tools-golang/utils"

	"github.com/shudl/shudl-assemble/layers/sbom"
)

var update = flag.Bool("update", false, "write the golden files anew")

func describe(t *testing.T, in sbom.Input) ([]byte, *spdx.Document) {
	t.Helper()
	raw, err := sbom.SPDX(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := sbom.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

func TestGolden(t *testing.T) {
	raw, _ := describe(t, input(t, postgresql()))
	golden(t, "postgresql.spdx.json", bytes.ReplaceAll(raw, []byte(`},{`), []byte("},\n{")))
	var table bytes.Buffer
	if err := sbom.Table(&table, raw); err != nil {
		t.Fatal(err)
	}
	golden(t, "postgresql.table.txt", table.Bytes())
}

func TestCycloneDX(t *testing.T) {
	raw, _ := describe(t, input(t, postgresql()))
	bom, err := sbom.CycloneDX(raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sbom.CycloneDX(raw)
	if err != nil || !bytes.Equal(bom, again) {
		t.Errorf("another document the second time: %v", err)
	}
	golden(t, "postgresql.cdx.json", bytes.ReplaceAll(bom, []byte(`},{`), []byte("},\n{")))
	if _, err := sbom.CycloneDX([]byte(`{"spdxVersion":"SPDX-2.2"}`)); err == nil {
		t.Error("not an SBOM of ours, and taken")
	}
	older := bytes.Replace(raw, []byte(`"spdxVersion":"SPDX-2.3"`), []byte(`"spdxVersion":"SPDX-2.2"`), 1)
	if _, err := sbom.Parse(older); err == nil || !strings.Contains(err.Error(), "SPDX-2.2") {
		t.Errorf("a document of another version: %v", err)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestSameBytesWhateverTheOrder(t *testing.T) {
	want, _ := describe(t, input(t, postgresql()))
	w := postgresql()
	w.Artifacts[0], w.Artifacts[2] = w.Artifacts[2], w.Artifacts[0]
	w.Dropped[0], w.Dropped[1] = w.Dropped[1], w.Dropped[0]
	for _, l := range w.layers {
		slices.Reverse(l.entries)
		slices.Reverse(l.files)
	}
	w.Created = w.Created.In(time.FixedZone("elsewhere", 3600))
	got, _ := describe(t, input(t, w))
	if !bytes.Equal(got, want) {
		t.Error("another document from the same image")
	}
}

// What is written by hand is what the library writes of the same document.
func TestHandWrittenElements(t *testing.T) {
	w := postgresql()
	w.layers[1].entries = append(w.layers[1].entries, file("opt/ä \"<&>\"\u2028\t.txt", exporter, "odd"))
	raw, doc := describe(t, input(t, w))
	var buf bytes.Buffer
	if err := spdxjson.Write(doc, &buf, spdxjson.EscapeHTML(false)); err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal(buf.Bytes(), &want)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-library +ours):\n%s", diff)
	}
}

// A fragment that was kept gives the document that a new one gives.
func TestFragmentsAreKept(t *testing.T) {
	in := input(t, postgresql())
	want, _ := describe(t, in)
	for i, l := range in.Layers {
		data, err := l.Fragment.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if in.Layers[i].Fragment, err = sbom.DecodeFragment(data); err != nil {
			t.Fatal(err)
		}
		damaged := [][]byte{data[:len(data)-1], data[:20], bytes.Replace(data, []byte("\nf0\x00"), []byte("\nf9\x00"), 1), bytes.Replace(data, []byte("\x00d0\x00"), []byte("\x00x0\x00"), 1)}
		for n, d := range damaged {
			if _, err := sbom.DecodeFragment(d); err == nil && !bytes.Equal(d, data) {
				t.Errorf("layer %d: damage %d is no error", i, n)
			}
		}
	}
	got, _ := describe(t, in)
	if !bytes.Equal(got, want) {
		t.Error("another document")
	}
}

// Every file of the image stands in the document once, with its own owner,
// and the verification codes hold.
func TestEveryFileIsOwned(t *testing.T) {
	_, doc := describe(t, input(t, postgresql()))
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	files := map[common.ElementID]*spdx.File{}
	for _, f := range doc.Files {
		files[f.FileSPDXIdentifier] = f
	}
	owner := map[string]string{}
	for _, p := range doc.Packages {
		var mine []*spdx.File
		for _, r := range doc.Relationships {
			f, ok := files[r.RefB.ElementRefID]
			if !ok || r.Relationship != common.TypeRelationshipContains || r.RefA.ElementRefID != p.PackageSPDXIdentifier {
				continue
			}
			if before, ok := owner[f.FileName]; ok {
				t.Errorf("%s is owned by %s and %s", f.FileName, before, p.PackageName)
			}
			owner[f.FileName] = p.PackageName
			mine = append(mine, f)
		}
		if p.FilesAnalyzed != (len(mine) > 0) {
			t.Errorf("%s: filesAnalyzed %t with %d files", p.PackageName, p.FilesAnalyzed, len(mine))
		}
		if len(mine) == 0 {
			continue
		}
		code, err := utils.GetVerificationCode(mine, "")
		if err != nil || p.PackageVerificationCode == nil || code.Value != p.PackageVerificationCode.Value {
			t.Errorf("%s: verification code %v, want %s (%v)", p.PackageName, p.PackageVerificationCode, code.Value, err)
		}
	}
	want := map[string]string{
		"./usr/lib/libc.so.6":                "libc6",
		"./usr/bin/postgres":                 "postgresql-17",
		"./usr/bin/postmaster":               "postgresql-17",
		"./opt/exporter.jar":                 "org.example:exporter",
		"./opt/lib/with-1.0.jar":             "org.example:exporter",
		"./usr/share/doc/libc-bin/copyright": "libc6",
		"./usr/bin/docker-entrypoint.sh":     "recipe:postgresql/entrypoint/files/usr/bin/docker-entrypoint.sh",
		"./etc/passwd":                       "recipe:postgresql/accounts",
	}
	if diff := cmp.Diff(want, owner); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotKnownIsAnError(t *testing.T) {
	tests := map[string]func(*world){
		"no owner":            func(w *world) { w.layers[1].entries[2].Owner = "" },
		"not an owner":        func(w *world) { w.layers[1].entries[2].Owner = "somebody" },
		"no checksum":         func(w *world) { w.layers[1].entries[2].SHA1 = "" },
		"link to nothing":     func(w *world) { w.layers[1].entries[3].Link = "usr/bin/none" },
		"link to itself":      func(w *world) { w.layers[1].entries[3].Link = "usr/bin/postmaster" },
		"artefact, no purl":   func(w *world) { w.Artifacts[0].PURL = "" },
		"link to a directory": func(w *world) { w.layers[1].entries[3].Link = "usr/bin" },
	}
	for name, spoil := range tests {
		w := postgresql()
		spoil(&w)
		in, err := w.input()
		if err == nil {
			_, err = sbom.SPDX(t.Context(), in)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNoMirrorInTheDocument(t *testing.T) {
	w := postgresql()
	w.Artifacts[0].URL = "https://user:canary@mirror.test/x.deb"
	raw, _ := describe(t, input(t, w))
	for _, secret := range []string{"canary", "mirror.test"} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s is in the document", secret)
		}
	}
}

func TestImageIsDescribed(t *testing.T) {
	_, doc := describe(t, input(t, postgresql()))
	image, err := sbom.Image(doc)
	if err != nil {
		t.Fatal(err)
	}
	if image.PackageName != "postgresql" || image.PackageChecksums[0].Value != string(digest("manifest")) {
		t.Errorf("described: %+v", image)
	}
}
