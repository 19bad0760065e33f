package recipes

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	one = Digest("1111111111111111111111111111111111111111111111111111111111111111")
	two = Digest("2222222222222222222222222222222222222222222222222222222222222222")
)

// sample is a lock with one artefact of each kind.
func sample(t testing.TB) *Lock {
	t.Helper()
	image, err := good(t).Image(Ref{Name: "base-debian"}, Debian, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	date := time.Date(2026, 11, 20, 8, 9, 10, 0, time.UTC)
	l := &Lock{Format: LockFormat, Distro: Debian, Release: "13.8", Date: date, Encoder: "gzip klauspost/compress 1.20.3 level 6",
		EncoderGolden: one, LayerFormat: 1, Go: "go1.26.8",
		Indexes: []LockedIndex{{Archive: "debian", Path: "dists/trixie/main/binary-amd64/Packages.xz", SHA256: two, Size: 9, Date: date}}}
	l.Put(LockedImage{Ref: Ref{Name: "tools"}, Platform: LinuxAMD64, Sources: two, Artifacts: []Artifact{
		{Layer: "sources", Kind: KindGo, Name: "github.com/minio/mc", Version: "v0.0.0-2025", PURL: "pkg:golang/github.com/minio/mc@v0.0.0-2025", Size: 1,
			SHA256: one, Checksum: "h1:3kYH+/Vn==", License: "AGPL-3.0-only", Archive: "go", Path: "github.com/minio/mc/@v/v0.0.0-2025.zip"},
		{Layer: "sources", Kind: KindMaven, Name: "org.example:app:runner@jar", Version: "1.0", PURL: "pkg:maven/org.example/app@1.0?classifier=runner&type=jar", Size: 2,
			SHA256: two, Archive: "maven", Path: "org/example/app/1.0/app-1.0-runner.jar"},
		{Layer: "sources", Kind: KindPyPI, Name: "patroni", Version: "4.1.5", PURL: "pkg:pypi/patroni@4.1.5", Size: 3, SHA256: two, Archive: "pypi", Path: "packages/aa/bb/patroni.whl"},
		{Layer: "sources", Kind: KindTarball, Name: "jq", Version: "1.8", PURL: "pkg:generic/jq@1.8", Size: 4, SHA256: two, URL: "https://github.com/jq.tgz"},
	}})
	l.Put(LockedImage{Ref: Ref{Name: "base-debian"}, Platform: LinuxAMD64, Sources: image.Sources(), Artifacts: []Artifact{
		{Layer: "root", Kind: KindDeb, Name: "libstdc++6", Version: "1:14.2.0-19+deb13u1", PURL: "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&epoch=1",
			Size: 5, SHA256: one, License: "GPL-3.0-only <with exception>", Origin: "gcc-14", Archive: "debian", Path: "pool/main/g/gcc-14/libstdc++6_14.2.0-19_amd64.deb"},
	}})
	return l
}

func written(t testing.TB, l *Lock) string {
	t.Helper()
	var out bytes.Buffer
	if err := l.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLockGolden(t *testing.T) {
	text := written(t, sample(t))
	golden(t, "sample.lock", []byte(text))
	l, err := ReadLock(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if again := written(t, l); again != text {
		t.Errorf("written again:\n%s", again)
	}
}

// An image that was kept while others were refreshed has a date of its own; a
// lock in which none has is as it was.
func TestLockWithDates(t *testing.T) {
	l := sample(t)
	tools, base := Ref{Name: "tools"}, Ref{Name: "base-debian"}
	kept := l.Date
	if got := l.Dates(); len(got) != 1 || !got[0].Equal(kept) {
		t.Errorf("dates %v", got)
	}
	image := &Image{Ref: tools, Platform: LinuxAMD64}
	id := buildID(t, image, l)
	locked, _ := l.Image(tools, LinuxAMD64)
	locked.Date = kept
	l.Date = kept.Add(48 * time.Hour)
	if buildID(t, image, l) != id {
		t.Error("the build id of an image moved with the date of others")
	}
	text := written(t, l)
	want := `{"image":"tools","platform":"linux/amd64","date":"2026-11-20T08:09:10Z","sources":`
	if !strings.Contains(text, want) || strings.Count(text, `"platform":"linux/amd64","date"`) != 1 {
		t.Errorf("%s is not there, or not alone:\n%s", want, text)
	}
	again, err := ReadLock(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Dates(); len(got) != 2 || !got[0].Equal(l.Date) || !got[1].Equal(kept) {
		t.Errorf("dates %v", got)
	}
	other, _ := again.Image(tools, LinuxAMD64)
	below, _ := again.Image(base, LinuxAMD64)
	if got := again.DateOf([]LockedImage{*other}); !got.Equal(kept) {
		t.Errorf("alone it is of %s", got)
	}
	if got := again.DateOf([]LockedImage{*below, *other}); !got.Equal(l.Date) {
		t.Errorf("on a newer base it is of %s", got)
	}
}

func buildID(t *testing.T, image *Image, l *Lock) string {
	t.Helper()
	id, err := image.BuildID(l, "")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A lock from before the layers' format stood in it is read, and means 1.
func TestLockWithoutLayerFormat(t *testing.T) {
	old := strings.Replace(written(t, sample(t)), "  \"layer-format\": 1,\n", "", 1)
	l, err := ReadLock(strings.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	if l.Layers() != 1 || written(t, l) != old {
		t.Errorf("format of layers %d, written again:\n%s", l.Layers(), written(t, l))
	}
}

func TestLockRefuses(t *testing.T) {
	text := written(t, sample(t))
	tests := []struct{ name, old, now, want string }{
		{"unknown key", `"format": 1`, `"format": 1, "host": "x"`, "unknown field"},
		{"unknown key of an artefact", `"kind":"go"`, `"kind":"go","host":"x"`, "unknown field"},
		{"duplicate key", `"kind":"go"`, `"kind":"deb","kind":"go"`, "line 18: not as it is written"},
		{"key in capitals", `"kind":"go"`, `"KIND":"go"`, "line 18: not as it is written"},
		{"another format", `"format": 1`, `"format": 2`, "format 2"},
		{"another distro", `"debian",`, `"arch",`, "unknown distro"},
		{"trailing data", "]\n}\n", "]\n}\n{}", "not as it is written"},
		{"truncated", "]\n}\n", "", "unexpected EOF"},
		{"short sha256", string(one), string(one[1:]), "bad sha256"},
		{"upper-case sha256", string(two), strings.Repeat("A", 64), "bad sha256"},
		{"sha256 as path", string(one), "../../" + string(one[6:]), "bad sha256"},
		{"path above the root", "pool/main", "../main", "leaves the root"},
		{"absolute path", "pool/main", "/pool/main", "begins with a slash"},
		{"host in a path", "pool/main", "https://a/b", "names no host"},
		{"host in a purl", "?arch=amd64", "?download_url=https://a/b", "names no host"},
		{"escaped host in a purl", "?arch=amd64", "?download_url=https%3A%2F%2Fa", "names no host"},
		{"address of a deb", `"archive":"debian","path":"pool/main/g/gcc-14/libstdc++6_14.2.0-19_amd64.deb"`, `"url":"https://a/b"`, "only a tarball has an address"},
		{"address with credentials", "https://github", "https://u:p@github", "no credentials"},
		{"bad name", `"name":"jq"`, `"name":"../jq"`, "bad name"},
		{"bad layer", `"layer":"root"`, `"layer":"a/b"`, "bad layer"},
		{"unknown kind", `"kind":"pypi"`, `"kind":"npm"`, "unknown kind"},
		{"no size", `"size":5`, `"size":0`, "bad size"},
		{"bad version", `"version":"4.1.5"`, `"version":"4 1"`, "bad version"},
		{"bad platform", `"platform":"linux/amd64"`, `"platform":"linux/s390x"`, "unknown platform"},
		{"image twice", `"image":"tools"`, `"image":"base-debian"`, "stands twice"},
		{"control character", `"origin":"gcc-14"`, `"origin":"gcc\u0007"`, "control character"},
		{"missing purl", `"purl":"pkg:pypi/patroni@4.1.5"`, `"purl":""`, "bad purl"},
		{"date of an image at a wrong place", `"image":"tools","platform":"linux/amd64"`, `"image":"tools","date":"2026-11-20T08:09:10Z","platform":"linux/amd64"`, "line 17: not as it is written"},
		{"date of an image that is none", `"image":"tools","platform":"linux/amd64"`, `"image":"tools","platform":"linux/amd64","date":"0001-01-01T00:00:00Z"`, "line 17: not as it is written"},
		{"bad Go version", `"go1.26.8"`, `"1.26"`, "bad Go version"},
		{"bad format of layers", `"layer-format": 1`, `"layer-format": -1`, "want 1 or more"},
		{"format of layers 0", `"layer-format": 1`, `"layer-format": 0`, "not as it is written"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(text, test.old) {
				t.Fatalf("the sample does not hold %s", test.old)
			}
			_, err := ReadLock(strings.NewReader(strings.Replace(text, test.old, test.now, 1)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	before, after := sample(t), sample(t)
	tools, _ := after.Image(Ref{Name: "tools"}, LinuxAMD64)
	tools.Artifacts[1].Version = "2.0"
	tools.Artifacts[2].SHA256 = one
	tools.Artifacts = append(tools.Artifacts[:3], Artifact{Kind: KindTarball, Name: "yq", Version: "4"})
	var got []string
	for _, c := range Diff(before, after) {
		got = append(got, c.String())
	}
	want := []string{"jq 1.8 → (none)", "org.example:app:runner@jar 1.0 → 2.0",
		"patroni 4.1.5 (sha256 222222222222) → 4.1.5 (sha256 111111111111)", "yq (none) → 4"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if changes := Diff(nil, before); len(changes) != 5 || changes[0].Images[0] == "" {
		t.Errorf("from nothing: %v", changes)
	}
	if changes := Diff(before, sample(t)); len(changes) != 0 {
		t.Errorf("equal locks differ: %v", changes)
	}
}

func TestCheck(t *testing.T) {
	set, l := good(t), sample(t)
	images, err := set.Images(Debian, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range images {
		l.Put(LockedImage{Ref: image.Ref, Platform: LinuxAMD64, Sources: image.Sources()})
	}
	check := func(platforms ...Platform) string {
		out, err := l.Check(set, platforms...)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, o := range out {
			lines = append(lines, o.String())
		}
		return strings.Join(lines, "; ")
	}
	if got := check(LinuxAMD64); got != "" {
		t.Errorf("complete lock: %s", got)
	}
	if got := check(Platforms()...); strings.Count(got, "not locked") != len(images) {
		t.Errorf("the other platform: %s", got)
	}
	stale, _ := l.Image(Ref{"base-postgresql", "18"}, LinuxAMD64)
	stale.Sources = one
	l.Put(LockedImage{Ref: Ref{Name: "gone"}, Platform: LinuxAMD64, Sources: one})
	want := "base-postgresql:18 on linux/amd64: the recipe asks for something else than was locked; " +
		"postgresql on linux/amd64: its parent base-postgresql:18 is resolved anew; gone on linux/amd64: no recipe makes it"
	if got := check(LinuxAMD64); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestBuildIDs(t *testing.T) {
	set, l := good(t), sample(t)
	image, err := set.Image(Ref{Name: "base-debian"}, Debian, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	id := func(i *Image, l *Lock, parent string, extra ...string) string {
		t.Helper()
		got, err := i.BuildID(l, parent, extra...)
		if err != nil || len(got) != 8 {
			t.Fatalf("got %q, %v", got, err)
		}
		return got
	}
	same := id(image, l, "")
	other := *image
	other.Digest = two
	moved, packages, goVersion, layers, older := sample(t), sample(t), sample(t), sample(t), sample(t)
	layers.LayerFormat, older.LayerFormat = 2, 0
	moved.Date = moved.Date.Add(time.Hour)
	packages.Images[0].Artifacts[0].SHA256 = two
	goVersion.Go = "go1.27.0"
	for name, got := range map[string]string{
		"recipe": id(&other, l, ""), "parent": id(image, l, "00000000"), "date": id(image, moved, ""),
		"packages": id(image, packages, ""), "extra": id(image, l, "", "zstd"),
		"format of layers": id(image, layers, ""),
	} {
		if got == same {
			t.Errorf("another %s gave the same build id", name)
		}
	}
	if id(image, older, "") != same {
		t.Error("a lock that does not say the format of layers has another build id than one that says 1")
	}
	if id(image, goVersion, "") != same {
		t.Error("the Go version changed an image without Go programs")
	}
	if _, err := image.BuildID(&Lock{}, ""); err == nil {
		t.Error("an image that is not locked has a build id")
	}
	if JoinBuildIDs("a") != "a" || JoinBuildIDs("a", "b") != JoinBuildIDs("b", "a") || JoinBuildIDs("a", "b") == JoinBuildIDs("a", "c") {
		t.Error("joined build ids")
	}
}

func TestVersionsAndTags(t *testing.T) {
	set, l := good(t), sample(t)
	l.Put(LockedImage{Ref: Ref{"base-postgresql", "18"}, Platform: LinuxAMD64, Artifacts: []Artifact{{Kind: KindDeb, Name: "postgresql-18", Version: "18.1-1+deb13u1"}}})
	l.Put(LockedImage{Ref: Ref{Name: "postgresql"}, Platform: LinuxAMD64})
	for name, want := range map[string]string{
		"base-debian": "13.8-0a1b2c3d-debian 13.8-debian latest-debian",
		"postgresql":  "18.1-0a1b2c3d-debian 18.1-debian latest-debian",
		"tools":       "RELEASE.2025-0a1b2c3d-debian RELEASE.2025-debian latest-debian",
	} {
		chain, err := set.Chain(Ref{Name: name}, Debian, LinuxAMD64)
		if err != nil {
			t.Fatal(err)
		}
		locked, err := l.Chain(chain)
		if err != nil {
			t.Fatal(err)
		}
		image := chain[len(chain)-1]
		version, err := l.VersionOf(image, locked)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(image.Tags(version, "0a1b2c3d"), " "); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for image, want := range map[*Image]string{
		{Ref: Ref{"a", "17"}, Distro: Alpine, Default: true}: "1.2_3-x 1.2_3 17 latest",
		{Ref: Ref{"a", "17"}, Distro: Debian}:                "1.2_3-x-debian 1.2_3-debian 17-debian",
		{Ref: Ref{"a", "1.2+3"}, Distro: Alpine}:             "1.2_3-x 1.2_3 1.2+3",
	} {
		if got := strings.Join(image.Tags("1.2+3", "x"), " "); got != want {
			t.Errorf("%s: got %s, want %s", image.Ref, got, want)
		}
	}
	for version, want := range map[Artifact]string{
		{Kind: KindDeb, Version: "1:2.3-4-5"}: "2.3-4", {Kind: KindDeb, Version: "17.12-0+deb13u1"}: "17.12", {Kind: KindDeb, Version: "2.3"}: "2.3",
		{Kind: KindAPK, Version: "16.16-r2"}: "16.16", {Kind: KindAPK, Version: "1.2_p1-r12"}: "1.2_p1", {Kind: KindAPK, Version: "2024a"}: "2024a",
		{Kind: KindGo, Version: "v1.2.3"}: "1.2.3", {Kind: KindMaven, Version: "1.0-r1"}: "1.0-r1",
	} {
		if got := version.Upstream(); got != want {
			t.Errorf("%s %s: got %s, want %s", version.Kind, version.Version, got, want)
		}
	}
}

func FuzzReadLock(f *testing.F) {
	f.Add([]byte(written(f, sample(f))))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ReadLock(bytes.NewReader(data))
		if err == nil && written(t, l) != string(data) {
			t.Error("a lock was read that is not as it is written")
		}
	})
}

func FuzzRecipe(f *testing.F) {
	for _, name := range []string{"base-alpine", "base-debian", "base-postgresql", "postgresql", "tools"} {
		data, err := os.ReadFile("testdata/good/" + name + "/recipe.yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := oneRecipe(string(data))
		set, err := Load(fsys)
		if err != nil {
			return
		}
		for _, d := range Distros() {
			if _, err := set.Select(nil, true, d); err != nil {
				t.Error(err)
			}
		}
	})
}
