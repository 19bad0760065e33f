package assemble

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

// many are recipes of n small images on one base.
func many(n int) map[string]string {
	change := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("service-%04d", i)
		change[name+"/recipe.yaml"] = fmt.Sprintf(`
name: %s
summary: Service %d of many
from: base
distros: [debian]
version: "1.%d"
layers:
  - name: program
    files: files/
config:
  entrypoint: [run]
`, name, i, i)
		change[name+"/README.md"] = name
		change[name+"/files/usr/bin/run"] = fmt.Sprintf("#!/bin/sh\necho %d\n", i)
	}
	return change
}

// BenchmarkGrowth pushes many images of one base into a folder: made for the
// first time, and again where nothing changed. What grows linearly shows the
// same ms/image and KB/image in each row.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{100, 300, 1000} {
		b.Run(fmt.Sprintf("cold/%d", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				o := options(b, many(n))
				b.StartTimer()
				benchmarkRun(b, o)
			}
			perImage(b, n)
		})
		b.Run(fmt.Sprintf("warm/%d", n), func(b *testing.B) {
			o := options(b, many(n))
			benchmarkRun(b, o)
			for b.Loop() {
				benchmarkRun(b, o)
			}
			perImage(b, n)
		})
		b.Run(fmt.Sprintf("recipes/%d", n), func(b *testing.B) {
			files := testRecipes(many(n))
			for b.Loop() {
				set, err := recipes.Load(files)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := set.Select(nil, true, recipes.Debian); err != nil {
					b.Fatal(err)
				}
			}
			perImage(b, n)
		})
	}
}

func benchmarkRun(b *testing.B, o Options) {
	if _, err := Run(b.Context(), o); err != nil {
		b.Fatal(err)
	}
}

// perImage reports time and the live heap for one image.
func perImage(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N)/float64(n), "ms/image")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/1e3/float64(n), "KB/image")
}
