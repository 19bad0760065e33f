package sbom_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/spdx/tools-golang/utils"

	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

var update = flag.Bool("update", false, "write the golden files anew")

func digest(s string) recipes.Digest {
	sum := sha256.Sum256([]byte(s))
	return recipes.Digest(hex.EncodeToString(sum[:]))
}

func file(path, owner, content string) rootfs.Entry {
	sum := sha1.Sum([]byte(content))
	return rootfs.Entry{
		Path: path, Type: rootfs.Regular, Mode: 0o644, Size: int64(len(content)),
		SHA256: digest(content), SHA1: hex.EncodeToString(sum[:]), Owner: owner,
	}
}

func dir(path, owner string) rootfs.Entry {
	return rootfs.Entry{Path: path, Type: rootfs.Directory, Mode: 0o755, Owner: owner}
}

const (
	libc     = "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13"
	server   = "pkg:deb/debian/postgresql-17@17.12-0%2Bdeb13u1?arch=amd64&distro=debian-13"
	exporter = "pkg:maven/org.example/exporter@1.2"
)

func input() sbom.Input {
	return sbom.Input{
		Name: "postgresql", Version: "17.12", Tag: "17.12-3f9a1c2e-debian",
		Platform: recipes.LinuxAMD64, Distro: recipes.Debian,
		Digest: digest("manifest"), Created: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), Tool: "0.1.0",
		Base: &sbom.Base{Name: "base-postgresql", Version: "17.12", Digest: digest("base")},
		Artifacts: []sbom.Artifact{
			{Artifact: recipes.Artifact{
				Kind: recipes.KindDeb, Name: "postgresql-17", Version: "17.12-0+deb13u1", PURL: server, SHA256: digest("server.deb"),
				Archive: "debian", Path: "pool/main/p/postgresql-17/postgresql-17_17.12-0+deb13u1_amd64.deb", Origin: "postgresql-17",
			}, License: "PostgreSQL and BSD-3-clause and Custom-Unix"},
			{Artifact: recipes.Artifact{
				Kind: recipes.KindDeb, Name: "libc6", Version: "2.41-12", PURL: libc, SHA256: digest("libc.deb"),
				Archive: "debian", License: "LGPL-2.1+", Origin: "glibc",
			}, Inherited: true},
			{Artifact: recipes.Artifact{
				Kind: recipes.KindMaven, Name: "org.example:exporter", Version: "1.2", PURL: exporter, SHA256: digest("jar"),
				License: "Apache-2.0",
			}},
		},
		Layers: []sbom.Layer{
			{Name: "base", Inherited: true, Entries: []rootfs.Entry{
				dir("usr", libc), dir("usr/lib", libc), file("usr/lib/libc.so.6", libc, "libc"),
				file("etc/passwd", "recipe:base-debian/accounts", "root"),
				{Path: "lib", Type: rootfs.Symlink, Link: "usr/lib", Owner: libc},
			}},
			{Name: "server", Entries: []rootfs.Entry{
				dir("usr", server), dir("usr/bin", server), file("usr/bin/postgres", server, "postgres"),
				{Path: "usr/bin/postmaster", Type: rootfs.Hardlink, Link: "usr/bin/postgres", Owner: server},
				file("opt/exporter.jar", exporter, "jar"),
				file("usr/bin/docker-entrypoint.sh", "recipe:postgresql/entrypoint/files/usr/bin/docker-entrypoint.sh", "#!/bin/sh"),
			}},
			{Name: "state", Entries: []rootfs.Entry{
				file("etc/passwd", "recipe:postgresql/accounts", "root postgres"),
			}},
		},
		Dropped: []sbom.Dropped{
			{Owner: server, Path: "usr/lib/postgresql/17/lib/bitcode/b", Reason: "only for JIT", SHA256: digest("b")},
			{Owner: server, Path: "usr/lib/postgresql/17/lib/bitcode/a", Reason: "only for JIT", SHA256: digest("a")},
			{Owner: exporter, Path: "exporter.jar!/natives/windows/x.dll", Reason: "another platform", Original: digest("jar before")},
		},
	}
}

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
	raw, _ := describe(t, input())
	golden(t, "postgresql.spdx.json", bytes.ReplaceAll(raw, []byte(`},{`), []byte("},\n{")))
	var table bytes.Buffer
	if err := sbom.Table(&table, raw); err != nil {
		t.Fatal(err)
	}
	golden(t, "postgresql.table.txt", table.Bytes())
}

func TestCycloneDX(t *testing.T) {
	raw, _ := describe(t, input())
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
	want, _ := describe(t, input())
	in := input()
	in.Artifacts[0], in.Artifacts[2] = in.Artifacts[2], in.Artifacts[0]
	in.Dropped[0], in.Dropped[1] = in.Dropped[1], in.Dropped[0]
	for _, l := range in.Layers {
		for i, j := 0, len(l.Entries)-1; i < j; i, j = i+1, j-1 {
			l.Entries[i], l.Entries[j] = l.Entries[j], l.Entries[i]
		}
	}
	in.Created = in.Created.In(time.FixedZone("elsewhere", 3600))
	got, _ := describe(t, in)
	if !bytes.Equal(got, want) {
		t.Error("another document from the same image")
	}
}

// Every file of the image stands in the document once, with its own owner,
// and the verification codes hold.
func TestEveryFileIsOwned(t *testing.T) {
	_, doc := describe(t, input())
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
		"./usr/lib/libc.so.6":            "libc6",
		"./usr/bin/postgres":             "postgresql-17",
		"./usr/bin/postmaster":           "postgresql-17",
		"./opt/exporter.jar":             "org.example:exporter",
		"./usr/bin/docker-entrypoint.sh": "recipe:postgresql/entrypoint/files/usr/bin/docker-entrypoint.sh",
		"./etc/passwd":                   "recipe:postgresql/accounts",
	}
	if diff := cmp.Diff(want, owner); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotKnownIsAnError(t *testing.T) {
	tests := map[string]func(*sbom.Input){
		"no owner":            func(in *sbom.Input) { in.Layers[1].Entries[2].Owner = "" },
		"not an owner":        func(in *sbom.Input) { in.Layers[1].Entries[2].Owner = "somebody" },
		"no checksum":         func(in *sbom.Input) { in.Layers[1].Entries[2].SHA1 = "" },
		"link to nothing":     func(in *sbom.Input) { in.Layers[1].Entries[3].Link = "usr/bin/none" },
		"link to itself":      func(in *sbom.Input) { in.Layers[1].Entries[3].Link = "usr/bin/postmaster" },
		"artefact, no purl":   func(in *sbom.Input) { in.Artifacts[0].PURL = "" },
		"link to a directory": func(in *sbom.Input) { in.Layers[1].Entries[3].Link = "usr/bin" },
	}
	for name, spoil := range tests {
		in := input()
		spoil(&in)
		if _, err := sbom.SPDX(t.Context(), in); err == nil || !strings.Contains(err.Error(), "postgresql") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestNoMirrorInTheDocument(t *testing.T) {
	in := input()
	in.Artifacts[0].URL = "https://user:canary@mirror.test/x.deb"
	raw, _ := describe(t, in)
	for _, secret := range []string{"canary", "mirror.test"} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s is in the document", secret)
		}
	}
}

func TestImageIsDescribed(t *testing.T) {
	_, doc := describe(t, input())
	image, err := sbom.Image(doc)
	if err != nil {
		t.Fatal(err)
	}
	if image.PackageName != "postgresql" || image.PackageChecksums[0].Value != string(digest("manifest")) {
		t.Errorf("described: %+v", image)
	}
}

func BenchmarkSPDX(b *testing.B) {
	in := input()
	for i := range 20_000 {
		path := fmt.Sprintf("opt/spark/jars/%d", i)
		in.Layers[1].Entries = append(in.Layers[1].Entries, file(path, exporter, path))
	}
	b.ReportAllocs()
	for b.Loop() {
		raw, err := sbom.SPDX(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(raw)))
	}
}
