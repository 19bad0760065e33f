package provenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/shudl/shudl-assemble/recipes"
)

var update = flag.Bool("update", false, "write the golden files anew")

func hex(digit string) recipes.Digest { return recipes.Digest(strings.Repeat(digit, 64)) }

// input is a service on a base, with artefacts of every kind of address.
func input() Input {
	base := recipes.Ref{Name: "base-debian"}
	service := recipes.Ref{Name: "minio", Stream: "2025"}
	p := recipes.LinuxAMD64
	return Input{
		Chain: []*recipes.Image{
			{Ref: base, Distro: recipes.Debian, Platform: p, Digest: hex("1")},
			{Ref: service, Distro: recipes.Debian, Platform: p, Digest: hex("2"), From: &base},
		},
		Locked: []recipes.LockedImage{
			{Ref: base, Platform: p, Artifacts: []recipes.Artifact{{
				Layer: "system", Kind: recipes.KindDeb, Name: "bash", Version: "5.2.37-2+b5", SHA256: hex("3"), Size: 10,
				PURL: "pkg:deb/debian/bash@5.2.37-2%2Bb5?arch=amd64&distro=debian-13", Archive: "debian", Path: "pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb",
			}}},
			{Ref: service, Platform: p, Artifacts: []recipes.Artifact{
				{
					Layer: "server", Kind: recipes.KindGo, Name: "github.com/minio/minio", Version: "v0.0.0-20250907161309-07c3a429bfed", SHA256: hex("4"), Size: 10,
					PURL: "pkg:golang/github.com/minio/minio@v0.0.0-20250907161309-07c3a429bfed", Archive: "go", Path: "github.com/minio/minio/@v/v0.0.0.zip",
				},
				{
					Layer: "server", Kind: recipes.KindTarball, Name: "jq", Version: "1.8", SHA256: hex("5"), Size: 10,
					PURL: "pkg:generic/jq@1.8", URL: "https://github.com/jqlang/jq/releases/download/jq-1.8/jq-linux-amd64",
				},
			}},
		},
		Lock:        &recipes.Lock{Format: 1, Distro: recipes.Debian, Release: "13.8", Date: time.Date(2026, 11, 21, 10, 15, 44, 5, time.FixedZone("", 3600)), Go: "go1.26.8"},
		Parent:      hex("6"),
		Compression: "gzip", Version: "2025-09-07", BuildID: "0123abcd",
		Formats: Formats{BuildID: 1, Lock: 1, Layer: 1},
		Encoder: "an encoder <1>", EncoderGolden: hex("7"), Tool: "0.3.0",
	}
}

func encoded(t *testing.T, in Input) []byte {
	t.Helper()
	data, err := New(in).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGolden holds the bytes: whoever changes one changes the digest of every
// attestation, and perhaps what the build type promises.
func TestGolden(t *testing.T) {
	data := encoded(t, input())
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const file = "testdata/minio.json"
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
	if again := encoded(t, input()); !bytes.Equal(data, again) {
		t.Error("the same build has two predicates")
	}
}

// TestOthersRead has in-toto's own library read and validate the predicate.
func TestOthersRead(t *testing.T) {
	var p slsa.Provenance
	if err := protojson.Unmarshal(encoded(t, input()), &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if got := p.GetBuildDefinition().GetResolvedDependencies()[0].GetDigest()["sha256"]; got != string(hex("6")) {
		t.Errorf("parent %s", got)
	}
}

func TestNoMirrorIsNamed(t *testing.T) {
	for _, d := range New(input()).BuildDefinition.ResolvedDependencies {
		if strings.Contains(d.URI, "://") || strings.Contains(d.URI, "pool/") {
			t.Errorf("%s says where it was fetched: %s", d.Name, d.URI)
		}
		if (d.DownloadLocation != "") != (d.Name == "jq") {
			t.Errorf("%s: download location %q", d.Name, d.DownloadLocation)
		}
	}
	for raw, want := range map[string]string{
		"https://me:secret@example.org/a.tar": "", "https://example.org/a.tar?token=secret": "", "file:///etc/passwd": "",
		"https://example.org/a.tar": "https://example.org/a.tar",
	} {
		if got := address(raw); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

func TestParseReadsWhatNewMade(t *testing.T) {
	in := input()
	in.SourceDate = time.Unix(1700000000, 0)
	for _, in := range []Input{input(), in, base()} {
		p, err := Parse(encoded(t, in))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(New(in), p); diff != "" {
			t.Error(diff)
		}
	}
}

// base is the base of input by itself.
func base() Input {
	in := input()
	in.Chain, in.Locked, in.Parent = in.Chain[:1], in.Locked[:1], ""
	return in
}

func TestGoVersionOnlyWhereItCompiles(t *testing.T) {
	if got := New(base()).BuildDefinition.InternalParameters.Go; got != "" {
		t.Errorf("a base without programs names %s", got)
	}
	if got := New(input()).BuildDefinition.InternalParameters.Go; got != "go1.26.8" {
		t.Errorf("Go %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(encoded(t, input()))
	for want, change := range map[string][2]string{
		"another kind of build":         {`buildtypes/image/v1`, `buildtypes/image/v2`},
		`unknown field "shell"`:         {`"compression":"gzip"`, `"compression":"gzip","shell":"true"`},
		`unknown field "flags"`:         {`"release":"13.8"`, `"release":"13.8","flags":1`},
		"unknown compression":           {`"gzip"`, `"xz"`},
		"unknown distro":                {`"distro":"debian"`, `"distro":"arch"`},
		"unknown platform":              {`linux/amd64`, `linux/mips`},
		"bad image":                     {`"image":"minio","stream"`, `"image":"../minio","stream"`},
		"bad build id":                  {`0123abcd`, `latest`},
		"do not end with that of minio": {`"name":"minio:2025"`, `"name":"minio:2024"`},
		"bad sha256":                    {string(hex("3")), "33"},
		"uri":                           {`"pkg:generic/jq@1.8"`, `"jq"`},
		"0 parent images":               {`"kind":"parent"`, `"kind":"child"`},
		"no address":                    {Local, "me"},
		"no date of the lock":           {`"lockDate":"2026-11-21T09:15:44Z"`, `"lockDate":"0001-01-01T00:00:00Z"`},
		"address with user":             {Local, "https://me:secret@example.org/ci"},
		"unexpected end":                {`"id":"` + Local + `","version":{"shudl-assemble":"0.3.0"}}}}`, `"id":"x"`},
	} {
		changed := strings.Replace(good, change[0], change[1], 1)
		if changed == good {
			t.Errorf("%s: nothing changed", want)
		}
		_, err := Parse([]byte(changed))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a password in an error: %v", err)
		}
	}
	if _, err := Parse([]byte(strings.Replace(good, "image/v1", "image/v9", 1))); !errors.Is(err, ErrBuildType) {
		t.Errorf("%v", err)
	}
	later := strings.Replace(good, `"runDetails":{`, `"runDetails":{"metadata":{"invocationId":"1"},`, 1)
	if _, err := Parse([]byte(later)); err != nil {
		t.Errorf("a field that SLSA may add: %v", err)
	}
}

func TestAbout(t *testing.T) {
	p := New(input())
	manifest := func(created, base string) []byte {
		return []byte(`{"annotations":{"org.opencontainers.image.created":"` + created + `","org.opencontainers.image.base.digest":"` + base + `"}}`)
	}
	const date = "2026-11-21T09:15:44Z"
	parent := "sha256:" + string(hex("6"))
	good := Image{Name: "minio", Platform: recipes.LinuxAMD64, Manifest: manifest(date, parent)}
	if err := p.About(good); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*Image){
		"image":    func(i *Image) { i.Name = "trino" },
		"platform": func(i *Image) { i.Platform = recipes.LinuxARM64 },
		"date":     func(i *Image) { i.Manifest = manifest("2026-11-20T00:00:00Z", parent) },
		"parent":   func(i *Image) { i.Manifest = manifest(date, "sha256:"+string(hex("8"))) },
	} {
		i := good
		change(&i)
		err := p.About(i)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || mismatch.What != what {
			t.Errorf("%s: %v", what, err)
		}
	}
	orphan := good
	orphan.Manifest = manifest(date, "")
	if err := p.About(orphan); err == nil || !strings.Contains(err.Error(), "the image's is none") {
		t.Errorf("%v", err)
	}
	unknown := good
	unknown.Platform = ""
	if err := p.About(unknown); err != nil {
		t.Errorf("a manifest outside of an index: %v", err)
	}
}

func TestBuilderID(t *testing.T) {
	github := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com",
		"GITHUB_WORKFLOW_REF": "org/repo/.github/workflows/publish.yaml@refs/heads/main", "GITHUB_RUN_ID": "77",
	}
	gitlab := map[string]string{
		"GITLAB_CI": "true", "CI_PROJECT_URL": "https://gitlab.com/group/project", "CI_COMMIT_BRANCH": "main", "CI_JOB_ID": "77",
	}
	with := func(env map[string]string, more ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(more); i += 2 {
				if more[i] == name {
					return more[i+1]
				}
			}
			return env[name]
		}
	}
	for want, env := range map[string]func(string) string{
		Local: with(nil),
		"https://github.com/org/repo/.github/workflows/publish.yaml@refs/heads/main": with(github),
		"https://gitlab.com/group/project//.gitlab-ci.yml@refs/heads/main":           with(gitlab),
		"https://gitlab.com/group/project//ci/a.yml@refs/tags/v1":                    with(gitlab, "CI_CONFIG_PATH", "ci/a.yml", "CI_COMMIT_TAG", "v1", "CI_COMMIT_BRANCH", ""),
		"https://gitlab.com/group/project//.gitlab-ci.yml@refs/merge-requests/1/head": with(gitlab, "CI_COMMIT_BRANCH", "",
			"CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/1/head"),
		"https://gitlab.com/group/project": with(gitlab, "CI_CONFIG_PATH", "a.yml@group/other"),
	} {
		got, err := BuilderID(env)
		if err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	for want, env := range map[string]func(string) string{
		"GITHUB_WORKFLOW_REF": with(github, "GITHUB_WORKFLOW_REF", ""),
		"CI_PROJECT_URL":      with(gitlab, "CI_PROJECT_URL", ""),
		"with user":           with(gitlab, "CI_PROJECT_URL", "https://ci:secret@gitlab.com/group/project"),
		"no address":          with(github, "GITHUB_SERVER_URL", "github"),
	} {
		if _, err := BuilderID(env); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
