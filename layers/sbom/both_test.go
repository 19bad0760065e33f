package sbom_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/shudl/shudl-assemble/layers/sbom"
)

// What is made of the description is what is made of the document, whatever
// JSON makes of the words in it.
func TestDocuments(t *testing.T) {
	odd := func(paths ...string) world {
		w := postgresql()
		w.Artifacts[0].Supplier = `Smith & "Sons" <sons>: Löwe`
		for _, path := range paths {
			w.layers[1].entries = append(w.layers[1].entries, file(path, exporter, "odd"))
		}
		return w
	}
	for name, w := range map[string]world{
		"plain":     postgresql(),
		"odd":       odd("opt/ä \"<&>\"\u2028\t.txt", `opt/\ufffd`),
		"not UTF-8": odd("opt/\xff\xfe.txt"),
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, w)
			document, bom, err := sbom.Documents(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := sbom.SPDX(t.Context(), in); err != nil || !bytes.Equal(document, want) {
				t.Errorf("another SPDX document: %v", err)
			}
			if want, err := sbom.CycloneDX(document); err != nil || !bytes.Equal(bom, want) {
				t.Errorf("another BOM: %v", err)
			}
			// They go into statements as they are.
			for _, made := range [][]byte{document, bom} {
				var tight bytes.Buffer
				if err := json.Compact(&tight, made); err != nil || !bytes.Equal(tight.Bytes(), made) {
					t.Errorf("not compact: %v", err)
				}
			}
		})
	}
}
