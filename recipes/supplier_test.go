package recipes

import "testing"

func TestSupplier(t *testing.T) {
	image := &Image{Layers: []Layer{{
		Name:     "l",
		Tarballs: []Tarball{{Name: "jq", Supplier: "The jq project"}},
		Maven: []MavenSource{
			{Coordinate: "g:a:1", Supplier: "G"}, {Coordinate: "g:a:2:all@zip", Supplier: "G 2"}, {Coordinate: "g:ab:1"},
		},
		PyPI: []PyPISource{{Requirement: "Py_Spark==4.0"}, {Requirement: "Py.Spark==4.0", Supplier: "Spark"}},
		Go:   []GoSource{{Package: "github.com/minio/mc", Supplier: "MinIO, Inc."}},
	}}}
	for want, a := range map[string]Artifact{
		"The jq project": {Kind: KindTarball, Name: "jq"},
		"G":              {Kind: KindMaven, Name: "g:a", Version: "1"},
		"G 2":            {Kind: KindMaven, Name: "g:a:all@zip", Version: "2"},
		"Spark":          {Kind: KindPyPI, Name: "py-spark", Version: "4.0"},
		"MinIO, Inc.":    {Kind: KindGo, Name: "github.com/minio/mc"},
		"":               {Kind: KindMaven, Name: "g:ab", Version: "1"},
	} {
		a.Layer = "l"
		if got := image.Supplier(a); got != want {
			t.Errorf("%s %s: %q, want %q", a.Kind, a.Name, got, want)
		}
		if a.Layer = "other"; image.Supplier(a) != "" {
			t.Errorf("%s of another layer has a supplier", a.Name)
		}
	}
}

func TestSupplierIsAName(t *testing.T) {
	layer := head + "layers:\n  - name: l\n    maven: [{artifact: 'g:a:1', supplier: "
	if _, err := Load(oneRecipe(layer + "'https://x'}]\n")); err == nil {
		t.Error("an address is no supplier")
	}
	if _, err := Load(oneRecipe(layer + "'MinIO, Inc.'}]\n")); err != nil {
		t.Error(err)
	}
}
