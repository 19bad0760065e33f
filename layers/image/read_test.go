package image

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/recipes"
)

func readInput(t *testing.T) Input {
	t.Helper()
	p := recipes.LinuxAMD64
	img := child(p)
	img.Layers = []recipes.Layer{{Name: "empty"}, {Name: "server"}, {Name: "also-empty"}}
	return Input{Image: img, Parent: base(t, p), Version: "17.12", BuildID: "89abcdef", Created: created}
}

func TestRead(t *testing.T) {
	want := service(t, recipes.LinuxAMD64, "17.12")
	got, err := Read(readInput(t), want.Manifest, want.Config)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.Digest || got.ConfigDigest != want.ConfigDigest || !cmp.Equal(got.Tags, want.Tags) {
		t.Errorf("%s %v, want %s %v", got.Digest, got.Tags, want.Digest, want.Tags)
	}
	if len(got.Layers) != 4 || got.Own() != 2 || got.Layers[2].Name != "server" || got.Layers[3].Name != StateLayer || got.Size() != want.Size() {
		t.Errorf("%+v", got.Layers)
	}
	if got.Layers[2].Blob.DiffID != want.Layers[2].Blob.DiffID {
		t.Errorf("diffID %s", got.Layers[2].Blob.DiffID)
	}
}

func TestReadRefuses(t *testing.T) {
	b := service(t, recipes.LinuxAMD64, "17.12")
	same := func(b []byte) []byte { return b }
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Fatalf("%s is not in %s", old, b)
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}
	layer := strings.Repeat("c", 64)
	tests := map[string]struct {
		manifest, config func([]byte) []byte
		says             string
	}{
		"another entrypoint":     {same, replace("docker-entrypoint.sh", "sh"), `config.Entrypoint[0] is "sh", want "docker-entrypoint.sh"`},
		"a label more":           {same, replace(`"org.example.tier"`, `"a":"b","org.example.tier"`), `config.Labels.a is "b", want nothing`},
		"another platform":       {same, replace("amd64", "arm64"), `architecture is "arm64", want "amd64"`},
		"another form":           {same, replace(`{"created"`, `{ "created"`), "written in another form"},
		"a key twice":            {same, replace(`{"created"`, `{"created":null,"created"`), "written in another form"},
		"another annotation":     {replace(`"17.12"`, `"17.13"`), same, `manifest: annotations.org.opencontainers.image.version is "17.13"`},
		"another config":         {replace(string(b.ConfigDigest), strings.Repeat("e", 64)), same, "manifest: config.digest"},
		"another parent's layer": {replace(strings.Repeat("a", 64), strings.Repeat("e", 64)), same, "layer 1 is sha256:eeee"},
		"a layer of no name":     {same, replace("layer server", "layer other"), "no layer of its recipe that may come there"},
		"layers out of order":    {same, replace("postgresql:17, layer server", "postgresql:17, layer state"), "no layer of its recipe that may come there"},
		"another image's layer":  {same, replace("postgresql:17, layer server", "postgresql:16, layer server"), "no layer of its recipe"},
		"another algorithm":      {replace("sha256:"+layer, "sha512:"+layer+layer), same, "digest"},
		"a digest that is none":  {replace("sha256:"+layer, "sha256:../../x"), same, "digest"},
		"another type of layer":  {replace(layers.Gzip.MediaType(), "application/x"), same, "manifest: layers[0].mediaType"},
		"no JSON":                {same, func([]byte) []byte { return []byte("{") }, "configuration"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Read(readInput(t), test.manifest(bytes.Clone(b.Manifest)), test.config(bytes.Clone(b.Config)))
			if !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %s", err, test.says)
			}
		})
	}
}
