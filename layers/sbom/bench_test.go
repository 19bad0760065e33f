package sbom_test

import (
	"fmt"
	"testing"

	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

// large is an image of 20,000 files on a parent of as many, with 500 jars
// each.
func large() world {
	w := postgresql()
	for l := range 2 {
		for i := range 20_000 {
			path := fmt.Sprintf("opt/%d/classes/%d", l, i)
			if i%40 == 0 {
				path = fmt.Sprintf("opt/%d/jars/part-%d-1.0.jar", l, i)
				w.layers[l].files = append(w.layers[l].files, evidence.File{Path: path, Facts: evidence.Facts{Jar: &evidence.Jar{}, Parts: []evidence.Part{{
					Type: "maven", Namespace: "org.example", Name: fmt.Sprint("part-", i), Version: "1.0", License: "Apache-2.0", Where: "META-INF/maven/pom.properties",
				}}}})
			}
			w.layers[l].entries = append(w.layers[l].entries, file(path, exporter, path))
		}
	}
	return w
}

// New makes everything anew; kept parent takes the parent's layer as it is
// kept, kept both layers too.
func BenchmarkSPDX(b *testing.B) {
	w := large()
	fresh := input(b, w)
	var kept [][]byte
	for _, l := range fresh.Layers {
		data, err := l.Fragment.Encode()
		if err != nil {
			b.Fatal(err)
		}
		kept = append(kept, data)
	}
	for _, reuse := range []int{0, 1, len(kept)} {
		b.Run(fmt.Sprintf("kept-%d-of-%d", reuse, len(kept)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				in := w.Input
				for i, l := range w.layers {
					var f *sbom.Fragment
					var err error
					if i < reuse {
						f, err = sbom.DecodeFragment(kept[i])
					} else {
						f, err = sbom.NewFragment(l.entries, l.files)
					}
					if err != nil {
						b.Fatal(err)
					}
					in.Layers = append(in.Layers, sbom.Layer{Fragment: f, Inherited: l.inherited})
				}
				raw, err := sbom.SPDX(b.Context(), in)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(raw)))
			}
		})
	}
}

// The BOM beside the document, and made of it once it is written.
func BenchmarkCycloneDX(b *testing.B) {
	in := input(b, large())
	b.Run("both", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := sbom.Documents(b.Context(), in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			document, err := sbom.SPDX(b.Context(), in)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := sbom.CycloneDX(document); err != nil {
				b.Fatal(err)
			}
		}
	})
}
