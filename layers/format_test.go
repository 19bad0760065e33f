package layers

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// The golden digests. They must be the same on every machine, also with
// -tags noasm and with GOARCH=386.
const (
	goldenGzip   recipes.Digest = "90baa72355892b5c51b5adde7c9654e4cdbfecb50afb3eba789aba9a45d79261"
	goldenZstd   recipes.Digest = "83226391c35c7a5585e283472401dd96f09cd2705ca1a3c5dfa01258d83f60f6"
	goldenDiffID recipes.Digest = "e2bc7b2ede1875592f902d8030fa7f2081ad775c0268fc22ddd671dec8e4f956"
)

func TestGoldenEncoder(t *testing.T) {
	if got, err := golden(Gzip, Zstd); err != nil || got != EncoderGolden {
		t.Errorf("got %s, %v", got, err)
	}
	for _, c := range []Compression{"", Gzip, Zstd} {
		if err := CheckEncoder(c); err != nil {
			got, _ := golden(c)
			t.Errorf("%q: %v\ngot %s", c, err, got)
		}
	}
}

func TestGoldenLayer(t *testing.T) {
	s := fetchtest.NewStore(t)
	gz := mustWrite(t, s, exampleTree(t), Options{Epoch: epoch})
	zs := mustWrite(t, s, exampleTree(t), Options{Epoch: epoch, Compression: Zstd})
	got := []recipes.Digest{gz.Digest, zs.Digest, gz.DiffID}
	if diff := cmp.Diff([]recipes.Digest{goldenGzip, goldenZstd, goldenDiffID}, got); diff != "" {
		t.Error(diff)
	}
}

// TestCompressorVersion fails when go.mod moves the compressor and this
// package does not say so.
func TestCompressorVersion(t *testing.T) {
	f, err := os.Open("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); strings.HasPrefix(line, "github.com/klauspost/compress ") {
			if line != compressor {
				t.Errorf("go.mod has %s, format.go %s", line, compressor)
			}
			return
		}
	}
	t.Error("go.mod does not name the compressor")
}

func TestCheap(t *testing.T) {
	jar := rootfs.Entry{Path: "a/b.JAR", Size: 60}
	txt := rootfs.Entry{Path: "a/b.txt", Size: 59}
	if !cheap([]rootfs.Entry{jar, txt}) || cheap([]rootfs.Entry{jar, txt, txt}) || cheap(nil) {
		t.Error("more than half of the bytes decide")
	}
	half := rootfs.Entry{Path: "b.txt", Size: 60}
	if cheap([]rootfs.Entry{jar, half}) {
		t.Error("half of the bytes is not more than half")
	}
}

// TestGoldenRule writes the rule of levels down once more: another answer here
// gives published layers other bytes, and wants another Format.
func TestGoldenRule(t *testing.T) {
	packed := strings.Fields("jar war zip whl egg gz tgz xz txz zst bz2 lz4 br 7z png jpg woff2")
	plain := strings.Fields("so txt class py pyc js json xml yaml html css tar apk deb rpm ear bz2x tbz lzma lz jpeg gif webp mp4 pdf woff ttf bin exe a o md sql 1")
	for i, name := range append(slices.Clone(packed), plain...) {
		for _, path := range []string{"usr/share/x." + name, "x.y." + strings.ToUpper(name), "." + name} {
			if want := i < len(packed); isPacked(path) != want {
				t.Errorf("%s counts as compressed: %v", path, !want)
			}
		}
	}
	for _, name := range []string{"jar", "a.jar/b", "a.jar.", "", "x.so.1"} {
		if isPacked(name) {
			t.Errorf("%q counts as compressed", name)
		}
	}
}

// TestSystemTools has gzip and tar read a layer, where the machine has them.
func TestSystemTools(t *testing.T) {
	for _, tool := range []string{"gzip", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on this machine", tool)
		}
	}
	s := fetchtest.NewStore(t)
	b := mustWrite(t, s, exampleTree(t), Options{Epoch: epoch})
	path, err := s.Path(t.Context(), b.Digest)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := exec.CommandContext(t.Context(), "sh", "-c", `gzip -dc <"$1" | sha256sum`, "sh", path).Output()
	if err != nil || !strings.HasPrefix(string(sum), string(b.DiffID)) {
		t.Errorf("gzip reads %s: %v", sum, err)
	}
	list, err := exec.CommandContext(t.Context(), "sh", "-c", `gzip -dc <"$1" | tar -tf -`, "sh", path).CombinedOutput()
	if err != nil {
		t.Fatalf("tar: %v\n%s", err, list)
	}
	if got, want := strings.Count(string(list), "\n"), len(exampleTree(t).Own()); got != want {
		t.Errorf("tar lists %d entries, want %d:\n%s", got, want, list)
	}
}
