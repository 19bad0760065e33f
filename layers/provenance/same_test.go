package provenance

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

func TestSameInputs(t *testing.T) {
	published := New(input())
	elsewhere := input()
	elsewhere.Parent, elsewhere.Builder, elsewhere.Tool = "", "https://example.org/ci", "0.4.0"
	if err := published.SameInputs(New(elsewhere)); err != nil {
		t.Errorf("who builds, and with what result, is no input: %v", err)
	}
	for what, change := range map[string]func(*Input){
		"format of build ids":   func(in *Input) { in.Formats.BuildID++ },
		"format of the lock":    func(in *Input) { in.Formats.Lock++ },
		"format of layers":      func(in *Input) { in.Formats.Layer++ },
		"encoder":               func(in *Input) { in.EncoderGolden = hex("8") },
		"release of the distro": func(in *Input) { in.Lock.Release = "13.9" },
		"date of the lock":      func(in *Input) { in.Lock.Date = in.Lock.Date.Add(time.Hour) },
		"Go":                    func(in *Input) { in.Lock.Go = "go1.27.0" },
		"locked artefacts":      func(in *Input) { in.Locked[0].Artifacts[0].SHA256 = hex("8") },
		"recipe of base-debian": func(in *Input) { in.Chain[0].Digest = hex("8") },
		"recipe of minio:2025":  func(in *Input) { in.Chain[1].Digest = hex("8") },
		"parameters":            func(in *Input) { in.Compression = "zstd" },
		"build id":              func(in *Input) { in.BuildID = "00000000" },
	} {
		in := input()
		change(&in)
		err := published.SameInputs(New(in))
		var inputs *InputsError
		if !errors.As(err, &inputs) || len(inputs.Differences) != 1 || inputs.Differences[0].What != what {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSameInputsSaysWhatToDo(t *testing.T) {
	published := New(input())
	in := input()
	in.Formats.Layer = 2
	in.Locked[1].Artifacts = slices.Delete(in.Locked[1].Artifacts, 1, 2)
	in.Chain = append([]*recipes.Image{in.Chain[0]}, &recipes.Image{Ref: recipes.Ref{Name: "base-x"}}, in.Chain[1])
	in.Locked = append([]recipes.LockedImage{in.Locked[0]}, recipes.LockedImage{}, in.Locked[1])
	err := published.SameInputs(New(in))
	if err == nil {
		t.Fatal("the same")
	}
	for _, want := range []string{
		"image minio:2025 cannot be reproduced from what is here:",
		"format of layers: 1 made it, here is 2: use the release of shudl-assemble that made the image (0.3.0)",
		"locked artefacts: pkg:generic/jq@1.8 (sha256 " + string(hex("5")) + ") in layer server of minio:2025 made it, here is nothing: check out the revision",
		"chain of images: base-debian → minio:2025 made it, here is base-debian → base-x → minio:2025",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}
