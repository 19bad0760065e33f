package recipes

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// goodVEX is a document that the recipe x may carry.
const goodVEX = `{
  "@context": "https://openvex.dev/ns/v0.2.0",
  "@id": "https://example.org/vex/1",
  "author": "Example",
  "timestamp": "2026-11-20T10:00:00Z",
  "version": 1,
  "statements": [
    {
      "vulnerability": {"name": "CVE-2026-0001"},
      "products": [{"@id": "pkg:oci/x", "subcomponents": [{"@id": "pkg:deb/debian/libfoo@1.0-1"}]}],
      "status": "not_affected",
      "justification": "vulnerable_code_not_in_execute_path"
    }
  ]
}`

func withVEX(documents map[string]string) fstest.MapFS {
	fsys := oneRecipe(head)
	for name, text := range documents {
		fsys["x/vex/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestVEXIsReadInOrder(t *testing.T) {
	plain, err := Load(oneRecipe(head))
	if err != nil {
		t.Fatal(err)
	}
	set, err := Load(withVEX(map[string]string{"2026-b.json": goodVEX, "2026-a.json": strings.Replace(goodVEX, "0001", "0002", 1)}))
	if err != nil {
		t.Fatal(err)
	}
	files := set.VEX("x")
	if len(files) != 2 || files[0].File != "x/vex/2026-a.json" || files[0].Document.Statements[0].Vulnerability.Name != "CVE-2026-0002" {
		t.Errorf("%+v", files)
	}
	if len(set.VEX("base-debian")) != 0 {
		t.Error("a document of another recipe")
	}
	was, err := plain.Image(Ref{Name: "x"}, Debian, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	is, err := set.Image(Ref{Name: "x"}, Debian, LinuxAMD64)
	if err != nil {
		t.Fatal(err)
	}
	if was.Digest != is.Digest {
		t.Error("what is said of an image changes its digest")
	}
}

// Each mistake is told with the document's place, the key and the reason.
func TestVEXMistakes(t *testing.T) {
	at := func(key string) string { return "x/vex/a.json: " + key }
	for want, change := range map[string][2]string{
		at("@context: want https://openvex.dev/ns/v0.2.0"):                      {"ns/v0.2.0", "ns/v0.0.1"},
		at("want an @id and an author"):                                         {`"author": "Example"`, `"author": ""`},
		at("timestamp: want the time"):                                          {`"timestamp": "2026-11-20T10:00:00Z",`, ""},
		at("version: want a number"):                                            {`"version": 1`, `"version": 0`},
		at(`json: unknown field "state"`):                                       {`"status":`, `"state":`},
		at("invalid character"):                                                 {`"version": 1,`, `"version": 1,,`},
		"(line 6)":                                                              {`"version": 1,`, `"version": 1,,`},
		at("more than one JSON value"):                                          {"  ]\n}", "  ]\n}{}"},
		at("statements[0]: invalid status value"):                               {"not_affected", "harmless"},
		at("statements[0]: invalid justification"):                              {"vulnerable_code_not_in_execute_path", "we_checked"},
		at("statements[0]: either justification or impact"):                     {`"justification": "vulnerable_code_not_in_execute_path"`, `"status_notes": "x"`},
		at("statements[0]: justification should not be set"):                    {"not_affected", "fixed"},
		at("statements[0].vulnerability: want a name"):                          {"CVE-2026-0001", ""},
		at("statements[0].products: want at least one: pkg:oci/x"):              {`"products": [{"@id": "pkg:oci/x", "subcomponents": [{"@id": "pkg:deb/debian/libfoo@1.0-1"}]}],`, ""},
		at(`statements[0].products[0]: @id "x" is no purl`):                     {`"pkg:oci/x"`, `"x"`},
		at("statements[0].products[0]: pkg:oci/y: this folder speaks of"):       {"pkg:oci/x", "pkg:oci/y"},
		at("statements[0].products[0]: pkg:oci/x@sha256:0: this folder"):        {"pkg:oci/x", "pkg:oci/x@sha256:0"},
		at("statements[0].products[0]: pkg:oci/x?tag=1: this folder"):           {"pkg:oci/x", "pkg:oci/x?tag=1"},
		at(`statements[0].products[0].subcomponents[0]: @id "libfoo"`):          {"pkg:deb/debian/libfoo@1.0-1", "libfoo"},
		at("statements[0].products[0]: @id pkg:oci/x and identifier pkg:oci/y"): {`"@id": "pkg:oci/x",`, `"@id": "pkg:oci/x", "identifiers": {"purl": "pkg:oci/y"},`},
	} {
		changed := strings.Replace(goodVEX, change[0], change[1], 1)
		if changed == goodVEX {
			t.Errorf("%s: nothing changed", want)
		}
		_, err := Load(withVEX(map[string]string{"a.json": changed}))
		var one *Error
		if !errors.As(err, &one) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nwant one with %q", err, want)
		}
	}
}

func TestVEXFolderHoldsDocumentsOnly(t *testing.T) {
	for name, want := range map[string]string{
		"README.md":   "x/vex/README.md: the folder vex holds OpenVEX documents",
		"more/a.json": "x/vex/more: the folder vex holds",
		".a.json":     "x/vex/.a.json: the folder vex holds",
	} {
		if _, err := Load(withVEX(map[string]string{name: goodVEX})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	_, err := Load(withVEX(map[string]string{"a.json": goodVEX, "b.json": strings.Replace(goodVEX, `"Example"`, `"Another"`, 1)}))
	if err == nil || !strings.Contains(err.Error(), "x/vex/b.json: author: author, role or supplier differ from x/vex/a.json") {
		t.Errorf("%v", err)
	}
	fsys := withVEX(nil)
	fsys["x/vex"] = &fstest.MapFile{Data: []byte("a file")}
	if _, err := Load(fsys); err == nil || !strings.Contains(err.Error(), "x/vex: cannot be read") {
		t.Errorf("%v", err)
	}
}

// The documents of the test recipes lie in a folder as a user's do.
func TestVEXOfAFolder(t *testing.T) {
	set, err := Load(os.DirFS("testdata/good"))
	if err != nil {
		t.Fatal(err)
	}
	if files := set.VEX("postgresql"); len(files) != 1 || files[0].File != "postgresql/vex/2026-11.json" {
		t.Errorf("%+v", files)
	}
}
