package pypi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

var (
	alpine = Target{Python: "3.12", Libc: Musl, Arch: "x86_64"}
	debian = Target{Python: "3.13", Libc: Glibc, Arch: "aarch64"}
)

func TestChooseWheel(t *testing.T) {
	var files []release
	for _, name := range strings.Fields("p_q-1.0.tar.gz p_q-1.0-py2-none-any.whl p_q-1.0-py3-none-any.whl p_q-1.0-cp310-abi3-musllinux_1_1_x86_64.whl p_q-1.0-cp313-abi3-musllinux_1_1_x86_64.whl " +
		"p_q-1.0-cp312-cp312-musllinux_1_2_x86_64.whl p_q-1.0-cp312-cp312-musllinux_1_2_aarch64.whl p_q-1.0-cp312-cp312-musllinux_1_3_x86_64.whl p_q-1.0-cp312-cp312-manylinux_2_28_x86_64.whl " +
		"p_q-1.0-cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64.whl p_q-1.0-cp313-cp313-manylinux_2_99_aarch64.whl p_q-1.0-cp313-cp313t-manylinux_2_28_aarch64.whl " +
		"p_q-1.0-cp313-cp313-win_amd64.whl p_q-1.1-cp313-cp313-manylinux2014_aarch64.whl other-1.0-cp313-cp313-manylinux2014_aarch64.whl bad.whl " +
		"only-2.0-py3-none-manylinux_2_17_x86_64.whl") {
		files = append(files, release{Filename: name})
	}
	for want, c := range map[string]struct {
		project, version string
		t                Target
	}{
		"p_q-1.0-cp312-cp312-musllinux_1_2_x86_64.whl":                         {"p-q", "1.0", alpine},
		"p_q-1.0-cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64.whl": {"p-q", "1", debian},
		"p_q-1.0-cp313-abi3-musllinux_1_1_x86_64.whl":                          {"p-q", "1.0", Target{"3.14", Musl, "x86_64"}},
		"p_q-1.0-py3-none-any.whl":                                             {"p-q", "1.0.0", Target{"3.14", Musl, "aarch64"}},
		"p_q-1.1-cp313-cp313-manylinux2014_aarch64.whl":                        {"p-q", "1.1", debian},
	} {
		got, err := chooseWheel(files, c.project, c.version, c.t)
		if err != nil || got.Filename != want {
			t.Errorf("%+v: got %s, %v", c, got.Filename, err)
		}
	}
	_, err := chooseWheel(files, "only", "2.0", alpine)
	if err == nil || !strings.Contains(err.Error(), "only-2.0-py3-none-manylinux_2_17_x86_64.whl") || !strings.Contains(err.Error(), "sdist: true") {
		t.Errorf("got %v", err)
	}
	if got, err := chooseSDist(files, "p-q", "1.0"); err != nil || got.Filename != "p_q-1.0.tar.gz" {
		t.Errorf("%v %v", got, err)
	}
	if _, err := chooseSDist(files, "p-q", "1.1"); err == nil {
		t.Error("an sdist that is not there")
	}
}

func TestTargetOf(t *testing.T) {
	artifacts := []recipes.Artifact{{Kind: recipes.KindDeb, Name: "python3-minimal", Version: "3.1"}, {Kind: recipes.KindDeb, Name: "python3", Version: "3.13.5-1"}}
	got, err := TargetOf(recipes.Debian, recipes.LinuxARM64, artifacts)
	if err != nil || got != debian || got.SitePackages() != "usr/lib/python3/dist-packages" {
		t.Errorf("%+v %v", got, err)
	}
	got, err = TargetOf(recipes.Alpine, recipes.LinuxAMD64, []recipes.Artifact{{Kind: recipes.KindAPK, Name: "python3", Version: "3.12.3-r1"}})
	if err != nil || got != alpine || got.SitePackages() != "usr/lib/python3.12/site-packages" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := TargetOf(recipes.Alpine, recipes.LinuxAMD64, nil); err == nil {
		t.Error("no python3, no error")
	}
}

// wheelFile builds a wheel; RECORD is computed unless it is among the files.
type wheelFile struct{ name, data string }

const demoInfo = "demo-1.0.dist-info/"

func demo() []wheelFile {
	return []wheelFile{
		{"demo/__init__.py", "print('demo')\n"},
		{demoInfo + "METADATA", "Metadata-Version: 2.4\nName: Demo\nVersion: 1.0\nLicense-Expression: MIT\nRequires-Python: >=3.8\n" +
			"Requires-Dist: other>=2\nRequires-Dist: extra-only; extra == \"x\"\n\nText that says Name: wrong\n"},
		{demoInfo + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{demoInfo + "entry_points.txt", "[console_scripts]\ndemo = demo:main.run [x]\n[other]\na = b\n"},
		{"demo-1.0.data/scripts/tool", "#!python -x\nprint()\n"},
		{"demo-1.0.data/data/share/demo/x", "x"},
		{"demo-1.0.data/purelib/more.py", "m"},
	}
}

func recordOf(files []wheelFile) string {
	var b strings.Builder
	for _, f := range files {
		sum := sha256.Sum256([]byte(f.data))
		fmt.Fprintf(&b, "%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.data))
	}
	return b.String() + demoInfo + "RECORD,,\n"
}

func buildWheel(t testing.TB, files []wheelFile) []byte {
	t.Helper()
	var members []string
	for _, f := range files {
		members = append(members, f.name, f.data)
	}
	return archivetest.Zip(t, members...)
}

func store(t testing.TB, data []byte) (*fetch.Store, recipes.Artifact) {
	t.Helper()
	s := fetchtest.NewStore(t)
	return s, recipes.Artifact{Kind: recipes.KindPyPI, Name: "demo", Version: "1.0", PURL: "pkg:pypi/demo@1.0", SHA256: fetchtest.Put(t, s, data), Path: "demo/demo-1.0-py3-none-any.whl"}
}

func text(t *testing.T, e rootfs.Entry) string {
	t.Helper()
	data, err := readEntry(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWheelEntries(t *testing.T) {
	files := demo()
	s, a := store(t, buildWheel(t, append(files, wheelFile{demoInfo + "RECORD", recordOf(files)})))
	entries, dropped, err := Entries(context.Background(), s, a, recipes.PyPISource{Requirement: "demo==1.0"}, alpine)
	if err != nil || len(dropped) != 0 {
		t.Fatal(err, dropped)
	}
	got := map[string]rootfs.Entry{}
	for _, e := range entries {
		got[e.Path] = e
		if e.Owner != a.PURL {
			t.Errorf("%s belongs to %q", e.Path, e.Owner)
		}
	}
	site := "usr/lib/python3.12/site-packages/"
	for path, want := range map[string]string{
		site + "demo/__init__.py":     "print('demo')\n",
		site + "more.py":              "m",
		site + demoInfo + "INSTALLER": "shudl-assemble\n",
		site + demoInfo + "RECORD":    recordOf(files),
		"usr/bin/demo":                "#!/usr/bin/python3\nimport sys\nfrom demo import main\nsys.exit(main.run())\n",
		"usr/bin/tool":                "#!/usr/bin/python3\nprint()\n",
		"usr/share/demo/x":            "x",
		site + demoInfo + "METADATA":  files[1].data,
	} {
		e, ok := got[path]
		if !ok {
			t.Errorf("%s is missing", path)
		} else if text(t, e) != want {
			t.Errorf("%s holds %q", path, text(t, e))
		}
	}
	if got["usr/bin/demo"].Mode != 0o755 || got["usr/bin/tool"].Mode != 0o755 || got[site+"more.py"].Mode != 0o644 {
		t.Error("modes")
	}
	entries, _, err = Entries(context.Background(), s, a, recipes.PyPISource{Requirement: "demo==1.0", Placement: recipes.Placement{Into: "opt/demo"}}, Target{Libc: Musl})
	if err != nil || entries[0].Path != "opt/demo" {
		t.Errorf("%v %v", entries, err)
	}
}

func TestWheelRefused(t *testing.T) {
	base := demo()
	with := func(change func(files []wheelFile) []wheelFile) []wheelFile {
		files := change(demo())
		return append(files, wheelFile{demoInfo + "RECORD", recordOf(files)})
	}
	record := func(text string) []wheelFile { return append(demo(), wheelFile{demoInfo + "RECORD", text}) }
	good := recordOf(base)
	for want, files := range map[string][]wheelFile{
		"RECORD says":                      record(strings.Replace(good, "sha256=", "sha256=AAAA", 1)[:0] + swapHash(good)),
		"is not in RECORD":                 record(strings.Join(strings.SplitAfter(good, "\n")[1:], "")),
		"not in the wheel":                 record(good + "ghost.py,sha256=" + strings.Repeat("A", 43) + ",1\n"),
		"lists \"demo/__init__.py\" twice": record(good + strings.SplitAfter(good, "\n")[0]),
		"no hash of":                       record(strings.Replace(good, strings.SplitAfter(good, "\n")[0], "demo/__init__.py,,\n", 1)),
		"is not a sha256":                  record(strings.Replace(good, "sha256=", "md5=", 1)),
		"bytes, RECORD says":               record(strings.Replace(good, ",14\n", ",15\n", 1)),
		"wrong number of fields":           record("a,b\n" + good),
		"has no demo-1.0.dist-info/RECORD": demo(),
		"it has no .dist-info folder":      {{"demo.py", "x"}},
		"two folders of metadata":          with(func(f []wheelFile) []wheelFile { return append(f, wheelFile{"demo-2.0.dist-info/METADATA", ""}) }),
		"in a wheel of demo-1.0":           {{"other-1.0.dist-info/METADATA", ""}},
		"has no demo-1.0.dist-info/WHEEL":  with(func(f []wheelFile) []wheelFile { return append(f[:2:2], f[3:]...) }),
		"not version 1":                    with(func(f []wheelFile) []wheelFile { f[2].data = "Wheel-Version: 2.0\n"; return f }),
		"METADATA is that of evil":         with(func(f []wheelFile) []wheelFile { f[1].data = "Name: evil\nVersion: 1.0\n\n"; return f }),
		"entry point":                      with(func(f []wheelFile) []wheelFile { f[3].data = "[console_scripts]\n../x = demo:main\n"; return f }),
		"INSTALLER of its own":             with(func(f []wheelFile) []wheelFile { return append(f, wheelFile{demoInfo + "INSTALLER", "pip"}) }),
		"no place for":                     with(func(f []wheelFile) []wheelFile { return append(f, wheelFile{"demo-1.0.data/etc/x", ""}) }),
		"no name for a command":            with(func(f []wheelFile) []wheelFile { return append(f, wheelFile{"demo-1.0.data/scripts/a/b", ""}) }),
		"is there twice":                   with(func(f []wheelFile) []wheelFile { return append(f, f[0]) }),
	} {
		t.Run(want, func(t *testing.T) {
			s, a := store(t, buildWheel(t, files))
			_, _, err := Entries(context.Background(), s, a, recipes.PyPISource{Requirement: "demo==1.0"}, alpine)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// swapHash gives the first file the hash of the second.
func swapHash(record string) string {
	lines := strings.SplitAfter(record, "\n")
	a, b := strings.Split(lines[0], ","), strings.Split(lines[1], ",")
	a[1] = b[1]
	lines[0] = strings.Join(a, ",")
	return strings.Join(lines, "")
}

// index serves one project the way a package index does, with the files
// somewhere else than the list of them.
func indexServer(t *testing.T, file string, data []byte, hash string) *fetch.Fetcher {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/simple/demo/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != indexType {
			http.Error(w, "not acceptable", http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Type", indexType)
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "Demo", "files": []any{
			map[string]any{"filename": file, "url": "../../elsewhere/" + file + "#x", "hashes": map[string]string{"sha256": hash}, "size": len(data), "yanked": false},
		}})
	})
	mux.HandleFunc("/elsewhere/"+file, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &fetch.Fetcher{Store: fetchtest.NewStore(t), Mirrors: fetch.Mirrors{fetch.PyPI: {server.URL + "/simple"}}, Locators: map[string]fetch.Locator{fetch.PyPI: Locate}}
}

func TestResolveAndLocate(t *testing.T) {
	ctx := context.Background()
	files := demo()
	data := buildWheel(t, append(files, wheelFile{demoInfo + "RECORD", recordOf(files)}))
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	name := "demo-1.0-py3-none-any.whl"
	f := indexServer(t, name, data, sum)
	a, err := Resolve(ctx, f, recipes.PyPISource{Requirement: "Demo==1.0"}, alpine, "wheels")
	if err != nil {
		t.Fatal(err)
	}
	want := recipes.Artifact{Layer: "wheels", Kind: recipes.KindPyPI, Name: "demo", Version: "1.0", PURL: "pkg:pypi/demo@1.0", Size: int64(len(data)),
		SHA256: recipes.Digest(sum), License: "MIT", Archive: "pypi", Path: "demo/" + name}
	if a != want {
		t.Errorf("got %+v\nwant %+v", a, want)
	}
	// Another machine finds the file by its name alone.
	other := indexServer(t, name, data, sum)
	if err := other.Artifact(ctx, a); err != nil {
		t.Error(err)
	}
	// So does one that has the files in a folder.
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "demo"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "demo", name), data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, offline := range []bool{false, true} {
		local := &fetch.Fetcher{Store: fetchtest.NewStore(t), Offline: offline, Mirrors: fetch.Mirrors{fetch.PyPI: {"file:" + dir}}, Locators: map[string]fetch.Locator{fetch.PyPI: Locate}}
		if err := local.Artifact(ctx, a); err != nil {
			t.Errorf("offline %v: %v", offline, err)
		}
	}
	bad := indexServer(t, name, data, strings.Repeat("0", 64))
	if _, err := Resolve(ctx, bad, recipes.PyPISource{Requirement: "demo==1.0"}, alpine, "l"); err == nil || !strings.Contains(err.Error(), "demo==1.0") {
		t.Errorf("a file with another hash than the index says: %v", err)
	}
	if _, err := Resolve(ctx, f, recipes.PyPISource{Requirement: "demo==2.0"}, alpine, "l"); err == nil || !strings.Contains(err.Error(), "no wheel of demo 2.0") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	files := demo()
	s, a := store(t, buildWheel(t, append(files, wheelFile{demoInfo + "RECORD", recordOf(files)})))
	other := func(version string) File {
		return File{recipes.Artifact{Name: "other", Version: version}, recipes.PyPISource{Requirement: "other==" + version, SDist: true}}
	}
	own := func(requirement string) File { return File{a, recipes.PyPISource{Requirement: requirement}} }
	old := alpine
	old.Python = "3.7"
	for _, c := range []struct {
		t        Target
		files    []File
		excluded []recipes.Exclude
		want     string
	}{
		{alpine, []File{own("demo==1.0"), other("2.1")}, nil, ""},
		{alpine, []File{own("demo==1.0")}, []recipes.Exclude{{Name: "other"}}, ""},
		{alpine, []File{own("demo==1.0")}, nil, "pypi demo 1.0: it needs other>=2, which no recipe names: add it under pypi"},
		{alpine, []File{own("demo==1.0"), other("1.9")}, nil, "pypi demo 1.0: it needs other>=2, the recipe names 1.9"},
		{alpine, []File{own("demo[x]==1.0"), other("2.1")}, nil, "pypi demo 1.0: it needs extra-only, which no recipe names: add it under pypi"},
		{old, []File{own("demo==1.0"), other("2.1")}, nil, "pypi demo 1.0: it does not take Python 3.7"},
	} {
		err := Check(context.Background(), s, c.t, c.files, c.excluded...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}

func FuzzWheelName(f *testing.F) {
	f.Add("demo-1.0-py3-none-any.whl")
	f.Add("a_b-1.0+l-1x-cp312.cp313-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
	f.Fuzz(func(t *testing.T, s string) {
		w, err := parseWheelName(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(w.project+w.version, "/\\") {
			t.Fatalf("%+v", w)
		}
		if _, err := w.rank(alpine); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(recordOf(demo()))
	f.Add("\"a,b\",sha256=x,1\n")
	f.Fuzz(func(t *testing.T, s string) {
		lines, err := parseRecord(strings.NewReader(s), "demo-1.0.dist-info")
		if err != nil {
			return
		}
		for name, line := range lines {
			if line.sha256 == "" && !unhashed(name, "demo-1.0.dist-info") {
				t.Fatalf("%q has no hash", name)
			}
		}
	})
}
