package assemble

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
)

// jar is one that a project was shaded into.
func jar(t testing.TB, group, artifact, version string) string {
	t.Helper()
	return string(archivetest.Zip(t, "META-INF/maven/"+group+"/"+artifact+"/pom.properties",
		fmt.Sprintf("groupId=%s\nartifactId=%s\nversion=%s\n", group, artifact, version)))
}

// described is the SPDX document of the run's last image.
func described(t testing.TB, o Options) []byte {
	t.Helper()
	o.Dest = nil
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := r.nodes[len(r.nodes)-1].spdx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// forget removes records of the store, as if nobody had made them.
func forget(t testing.TB, o Options, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		if err := os.RemoveAll(filepath.Join(o.Store.Dir(), "records", kind)); err != nil {
			t.Fatal(err)
		}
	}
}

// kept lists the records of a kind.
func kept(t testing.TB, o Options, kind string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(filepath.Join(o.Store.Dir(), "records", kind), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestSBOMShowsWhatIsInJars(t *testing.T) {
	change := map[string]string{"service/files/opt/app.jar": jar(t, "com.google.guava", "guava", "33.0-jre")}
	o := options(t, change)
	first := described(t, o)
	if !bytes.Contains(first, []byte(`"pkg:maven/com.google.guava/guava@33.0-jre"`)) {
		t.Errorf("no guava in %s", first)
	}
	// Whatever is remembered, the document is the same.
	for _, kinds := range [][]string{{sbomRecord}, {sbomRecord, fragmentRecord}, {sbomRecord, fragmentRecord, "evidence"}} {
		forget(t, o, kinds...)
		if again := described(t, o); !bytes.Equal(again, first) {
			t.Errorf("another document without the records %v", kinds)
		}
	}
	// A push makes the fragments while it packs the layers.
	published := options(t, change)
	mustRun(t, published)
	if made, want := kept(t, published, fragmentRecord), kept(t, o, fragmentRecord); !slices.Equal(made, want) {
		t.Errorf("a push keeps the fragments %q, not %q", made, want)
	}
	forget(t, published, sbomRecord)
	if again := described(t, published); !bytes.Equal(again, first) {
		t.Error("a push describes the image otherwise")
	}
}

// What files say cannot be kept where a file lies in the place of its folder:
// the error says in which layer of which image, also while that is packed.
func TestSBOMErrorsNameTheLayer(t *testing.T) {
	o := options(t, map[string]string{"service/files/opt/app.jar": jar(t, "com.google.guava", "guava", "33.0-jre")})
	if err := os.WriteFile(filepath.Join(o.Store.Dir(), "records", "evidence"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "image service, layer program: ") {
		t.Errorf("error %v", err)
	}
}

// A layer that is packed when another fails, or the user interrupts, is kept
// with its fragment: nobody is told that it was cancelled.
func TestSketchIsKeptAfterTheRun(t *testing.T) {
	o := options(t, nil)
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	keep, err := r.nodes[0].sketch(ctx, nil)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	if err := keep(layers.Blob{Tree: "tree"}); err != nil {
		t.Error(err)
	}
	if got := kept(t, o, fragmentRecord); len(got) != 1 {
		t.Errorf("fragments %q", got)
	}
}

// A child that changes makes its own fragments anew, and none of its parent's.
func TestFragmentsOfTheParentAreKept(t *testing.T) {
	o := options(t, nil)
	first := described(t, o)
	before := kept(t, o, fragmentRecord)
	next := options(t, map[string]string{"service/files/usr/bin/run": "#!/bin/sh\necho changed\n"})
	next.Store, next.Fetcher = o.Store, o.Fetcher
	if bytes.Equal(described(t, next), first) {
		t.Error("the same document")
	}
	var fresh []string
	for _, name := range kept(t, o, fragmentRecord) {
		if !slices.Contains(before, name) {
			fresh = append(fresh, name)
		}
	}
	if len(before) < 3 || len(fresh) != 1 {
		t.Errorf("%d fragments at first, %d more after one layer changed", len(before), len(fresh))
	}
}

// Both documents are published, and say the same.
func TestBothSBOMsArePublished(t *testing.T) {
	o := options(t, nil)
	result := mustRun(t, o)
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := r.nodes[len(r.nodes)-1]
	spdx, err := n.spdx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bom, err := n.cyclonedx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want, err := sbom.CycloneDX(spdx); err != nil || !bytes.Equal(bom, want) {
		t.Errorf("CycloneDX says something else: %v", err)
	}
	dir := filepath.Join(o.Dest.(*publish.Layout).Dir(), "service")
	hex := strings.TrimPrefix(result.Images[1].Digest, "sha256:")
	var types []string
	for _, d := range layoutIndex(t, dir).Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] != "sha256-"+hex+".att" {
			continue
		}
		for _, l := range readManifest(t, dir, d.Digest.String()).Layers {
			types = append(types, l.Annotations["predicateType"])
		}
	}
	for _, want := range []string{"https://spdx.dev/Document", "https://cyclonedx.org/bom"} {
		if !slices.Contains(types, want) {
			t.Errorf("no attestation %s among %q", want, types)
		}
	}
}

// An image of 300 jars on a parent of as many, with ever less
// of what is kept: the document, the fragments of its layers, what single
// files said.
func BenchmarkSBOM(b *testing.B) {
	change := map[string]string{}
	for i := range 300 {
		change[fmt.Sprintf("base-debian/files/opt/base/a%d-1.0.jar", i)] = jar(b, "org.base", fmt.Sprint("a", i), "1.0")
		change[fmt.Sprintf("service/files/opt/service/b%d-1.0.jar", i)] = jar(b, "org.service", fmt.Sprint("b", i), "1.0")
	}
	o := options(b, change)
	described(b, o)
	for _, state := range []struct {
		name   string
		forget []string
	}{
		{"document-kept", nil},
		{"fragments-kept", []string{sbomRecord}},
		{"evidence-kept", []string{sbomRecord, fragmentRecord}},
		{"nothing-kept", []string{sbomRecord, fragmentRecord, "evidence"}},
	} {
		b.Run(state.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				forget(b, o, state.forget...)
				o.Dest = nil
				r, err := newRun(o)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.all(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				data, err := r.nodes[1].spdx(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(data)))
			}
		})
	}
}
