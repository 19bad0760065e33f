package image

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/recipes"
)

var update = flag.Bool("update", false, "write the golden files anew")

var created = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func named(name, digit string) Named {
	d := recipes.Digest(strings.Repeat(digit, 64))
	return Named{Name: name, Blob: layers.Blob{
		Digest: d, DiffID: recipes.Digest(strings.Repeat(digit, 63) + "0"), Size: 100, Uncompressed: 1000, MediaType: layers.Gzip.MediaType(), Tree: d,
	}}
}

func base(t *testing.T, p recipes.Platform) *Built {
	t.Helper()
	b, err := Build(Input{
		Image: &recipes.Image{
			Ref: recipes.Ref{Name: "base-debian"}, Distro: recipes.Debian, Platform: p, Summary: "A base",
			Config: recipes.Config{User: "app", Env: []recipes.Variable{{Name: "PATH", Value: "/usr/bin"}}},
		},
		Layers: []Named{named("system", "a"), named("state", "b")}, Version: "13.8", BuildID: "01234567", Created: created,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func child(p recipes.Platform) *recipes.Image {
	return &recipes.Image{
		Ref: recipes.Ref{Name: "postgresql", Stream: "17"}, Distro: recipes.Debian, Platform: p, Summary: "PostgreSQL <17> & more", Default: true,
		From: &recipes.Ref{Name: "base-debian"},
		Config: recipes.Config{
			User: "postgres", Entrypoint: []string{"docker-entrypoint.sh"}, Cmd: []string{"postgres"},
			Env:   []recipes.Variable{{Name: "PATH", Value: "/usr/bin"}, {Name: "PGDATA", Value: "/var/lib/postgresql/data"}},
			Ports: []string{"5432/tcp"}, Volumes: []string{"/var/lib/postgresql/data"}, WorkingDir: "/", StopSignal: "SIGINT",
			Labels:      map[string]string{"org.opencontainers.image.licenses": "PostgreSQL", "org.example.tier": "db"},
			Healthcheck: &recipes.Healthcheck{Test: []string{"pg_isready", "-q"}, Interval: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: 30 * time.Second, Retries: 3},
		},
	}
}

func service(t *testing.T, p recipes.Platform, version string) *Built {
	t.Helper()
	b, err := Build(Input{
		Image: child(p), Parent: base(t, p), Layers: []Named{named("server", "c"), named("state", "d")},
		Version: version, BuildID: "89abcdef", Created: created.Add(300 * time.Millisecond),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares JSON with a file of testdata, indented for reading.
func golden(t *testing.T, name string, data []byte) {
	t.Helper()
	var v json.RawMessage = data
	pretty, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(pretty, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(pretty)+"\n"); diff != "" {
		t.Error(diff)
	}
}

func TestGolden(t *testing.T) {
	b := service(t, recipes.LinuxAMD64, "17.12")
	golden(t, "config.json", b.Config)
	golden(t, "manifest.json", b.Manifest)
	index, _, err := Index([]*Built{service(t, recipes.LinuxARM64, "17.12"), b})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "index.json", index)
	if want := []string{"17.12-89abcdef-debian", "17.12-debian", "17-debian", "latest-debian"}; !cmp.Equal(b.Tags, want) {
		t.Errorf("tags %v", b.Tags)
	}
	if b.Own() != 2 || len(b.Layers) != 4 || b.Size() != 400 || b.Uncompressed() != 4000 {
		t.Errorf("own %d of %d layers, %d and %d bytes", b.Own(), len(b.Layers), b.Size(), b.Uncompressed())
	}
}

// TestOthersRead has go-containerregistry's types read what is written.
func TestOthersRead(t *testing.T) {
	b := service(t, recipes.LinuxARM64, "17.12")
	m, err := v1.ParseManifest(strings.NewReader(string(b.Manifest)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := v1.ParseConfigFile(strings.NewReader(string(b.Config)))
	if err != nil {
		t.Fatal(err)
	}
	if m.MediaType != types.OCIManifestSchema1 || m.Config.MediaType != types.OCIConfigJSON || m.Config.Digest.Hex != string(sum(b.Config)) {
		t.Errorf("%+v", m)
	}
	if c.Architecture != "arm64" || c.OS != "linux" || len(c.History) != len(c.RootFS.DiffIDs) || len(m.Layers) != len(c.RootFS.DiffIDs) {
		t.Errorf("%+v", c)
	}
	if h := c.Config.Healthcheck; h == nil || h.Interval != 10*time.Second || h.Test[0] != "CMD" || h.Retries != 3 {
		t.Errorf("health check %+v", h)
	}
}

func TestRefusals(t *testing.T) {
	p := recipes.LinuxAMD64
	good := Input{Image: child(p), Parent: base(t, p), Version: "17.12", BuildID: "x", Created: created}
	for want, change := range map[string]func(*Input){
		"its parent base-debian is missing":            func(in *Input) { in.Parent = nil },
		"its parent is for linux/arm64":                func(in *Input) { in.Parent = base(t, recipes.LinuxARM64) },
		"its parent is base-debian, not postgresql:17": func(in *Input) { in.Parent = service(t, p, "1") },
		"no version": func(in *Input) { in.Version = "" },
		"no date":    func(in *Input) { in.Created = time.Time{} },
		"base and has a parent": func(in *Input) {
			i := *in.Image
			i.From, in.Image = nil, &i
		},
	} {
		in := good
		change(&in)
		if _, err := Build(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := Build(good); err != nil {
		t.Errorf("an image that adds only configuration: %v", err)
	}
}

func TestIndexRefuses(t *testing.T) {
	amd := service(t, recipes.LinuxAMD64, "17.12")
	for want, list := range map[string][]*Built{
		"17.12 for linux/amd64 and 17.13 for linux/arm64": {amd, service(t, recipes.LinuxARM64, "17.13")},
		"linux/amd64 twice":        {amd, amd},
		"of base-debian and postg": {base(t, recipes.LinuxAMD64), service(t, recipes.LinuxARM64, "17.12")},
		"no platforms":             nil,
	} {
		if _, _, err := Index(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
