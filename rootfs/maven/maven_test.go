package maven

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
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

func TestParse(t *testing.T) {
	for s, want := range map[string][3]string{ // name, path, purl
		"io.trino:trino-server:476@tar.gz": {"io.trino:trino-server@tar.gz", "io/trino/trino-server/476/trino-server-476.tar.gz",
			"pkg:maven/io.trino/trino-server@476?type=tar.gz"},
		"org.projectnessie.nessie:nessie-quarkus:0.99.0:runner@jar": {"org.projectnessie.nessie:nessie-quarkus:runner",
			"org/projectnessie/nessie/nessie-quarkus/0.99.0/nessie-quarkus-0.99.0-runner.jar", "pkg:maven/org.projectnessie.nessie/nessie-quarkus@0.99.0?classifier=runner&type=jar"},
		"org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0": {"org.apache.iceberg:iceberg-spark-runtime-4.0_2.13",
			"org/apache/iceberg/iceberg-spark-runtime-4.0_2.13/1.11.0/iceberg-spark-runtime-4.0_2.13-1.11.0.jar", "pkg:maven/org.apache.iceberg/iceberg-spark-runtime-4.0_2.13@1.11.0"},
	} {
		c, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{c.Name(), c.Path(), c.PURL()}; got != want {
			t.Errorf("%s: got %q, want %q", s, got, want)
		}
	}
	for _, bad := range []string{"", "a", "a:b", "a:b:", "a:b:c:d:e", "a:b:c@", "../x:b:1", "a:..:1", "a:b:1/2", "a:b:1:c@../x", "a..b:c:1", "a:b:1.0-SNAPSHOT", "a b:c:1", ".a:b:1"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

// repository is a Maven repository in a folder.
type repository struct {
	t   *testing.T
	dir string
}

func (r repository) put(name string, data []byte) {
	r.t.Helper()
	at := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(at, data, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r repository) fetcher() *fetch.Fetcher {
	r.t.Helper()
	return &fetch.Fetcher{Store: fetchtest.NewStore(r.t), Mirrors: fetch.Mirrors{fetch.Maven: {"file:" + r.dir}}}
}

func jar(t *testing.T) []byte {
	t.Helper()
	return archivetest.Zip(t, "A.class", "cafebabe", "native/linux/aarch64/lib.so", "elf")
}

const at = "org/example/thing/1.0/thing-1.0"

func TestResolve(t *testing.T) {
	ctx := context.Background()
	data := jar(t)
	r := repository{t, t.TempDir()}
	r.put(at+".jar", data)
	r.put(at+".jar.sha1", fmt.Appendf(nil, "%x  thing-1.0.jar\n", sha1.Sum(data)))
	r.put(at+".pom", []byte(`<?xml version="1.0"?><project xmlns="http://maven.apache.org/POM/4.0.0"><parent><groupId>org.example</groupId><artifactId>parent</artifactId><version>7</version></parent></project>`))
	r.put("org/example/parent/7/parent-7.pom", []byte(`<project><licenses><license><name>The Apache Software License, Version 2.0</name></license><license><url>https://opensource.org/licenses/MIT</url></license></licenses></project>`))
	src := recipes.MavenSource{Coordinate: "org.example:thing:1.0"}
	a, err := Resolve(ctx, r.fetcher(), src, "jars")
	if err != nil {
		t.Fatal(err)
	}
	want := recipes.Artifact{Layer: "jars", Kind: recipes.KindMaven, Name: "org.example:thing", Version: "1.0", PURL: "pkg:maven/org.example/thing@1.0",
		Size: int64(len(data)), SHA256: recipes.Digest(fmt.Sprintf("%x", sha256.Sum256(data))), License: "Apache-2.0 OR MIT", Archive: "maven", Path: at + ".jar"}
	if a != want {
		t.Errorf("got %+v\nwant %+v", a, want)
	}
	src.License = "ISC"
	if a, err = Resolve(ctx, r.fetcher(), src, "jars"); err != nil || a.License != "ISC" {
		t.Errorf("%q %v", a.License, err)
	}
	// A published sha256 counts before the sha1.
	r.put(at+".jar.sha256", fmt.Appendf(nil, "%X\n", sha256.Sum256(data)))
	if _, err = Resolve(ctx, r.fetcher(), src, "jars"); err != nil {
		t.Error(err)
	}
}

func TestResolveRefused(t *testing.T) {
	data := jar(t)
	for want, put := range map[string]func(repository){
		"no mirror of \"maven\" gave it": func(repository) {},
		"no checksum beside it":          func(r repository) { r.put(at+".jar", data) },
		"its sha1 is": func(r repository) {
			r.put(at+".jar", data)
			r.put(at+".jar.sha1", []byte("da39a3ee5e6b4b0d3255bfef95601890afd80709"))
		},
		"the repository publishes \"0000": func(r repository) {
			r.put(at+".jar", data)
			r.put(at+".jar.sha1", fmt.Appendf(nil, "%x", sha1.Sum(data)))
			r.put(at+".jar.sha256", []byte(strings.Repeat("0", 64)))
		},
	} {
		r := repository{t, t.TempDir()}
		put(r)
		_, err := Resolve(context.Background(), r.fetcher(), recipes.MavenSource{Coordinate: "org.example:thing:1.0"}, "l")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "org.example:thing:1.0") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestEntries(t *testing.T) {
	ctx := context.Background()
	data := jar(t)
	r := repository{t, t.TempDir()}
	r.put(at+".jar", data)
	r.put(at+".jar.sha1", fmt.Appendf(nil, "%x", sha1.Sum(data)))
	f := r.fetcher()
	src := recipes.MavenSource{Coordinate: "org.example:thing:1.0", Placement: recipes.Placement{Into: "opt/x"}}
	a, err := Resolve(ctx, f, src, "l")
	if err != nil {
		t.Fatal(err)
	}
	list := func(src recipes.MavenSource, p recipes.Platform) (string, []rootfs.Entry) {
		t.Helper()
		entries, dropped, err := Entries(ctx, f.Store, a, src, p)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range entries {
			out = append(out, e.Path)
			if e.Owner != a.PURL {
				t.Errorf("%s belongs to %q", e.Path, e.Owner)
			}
		}
		for _, d := range dropped {
			out = append(out, "-"+d.Path)
		}
		return strings.Join(out, " "), entries
	}
	got, entries := list(src, recipes.LinuxARM64)
	if got != "opt/x opt/x/thing-1.0.jar" || entries[1].SHA256 != a.SHA256 || entries[1].SHA1 != fmt.Sprintf("%x", sha1.Sum(data)) || entries[1].Mode != 0o644 {
		t.Errorf("%s %+v", got, entries)
	}
	src.Rename = "t.jar"
	got, entries = list(src, recipes.LinuxAMD64)
	if got != "opt/x opt/x/t.jar -t.jar!/native/linux/aarch64/lib.so" || entries[1].SHA256 == a.SHA256 {
		t.Errorf("%s %+v", got, entries)
	}
	src.Rename, src.Extract, src.Select = "", true, []string{"*.class"}
	if got, _ = list(src, recipes.LinuxAMD64); got != "opt/x opt/x/A.class" {
		t.Error(got)
	}
}

// A small real artefact, from the mirrors of this machine's own Maven.
func TestRealArtifact(t *testing.T) {
	if os.Getenv("SHUDL_TEST_NETWORK") != "1" {
		t.Skip("set SHUDL_TEST_NETWORK=1 to use the network, and SHUDL_MIRROR_MAVEN to a Maven repository")
	}
	base := os.Getenv("SHUDL_MIRROR_MAVEN")
	if base == "" {
		t.Skip("set SHUDL_MIRROR_MAVEN to a Maven repository")
	}
	f := &fetch.Fetcher{Store: fetchtest.NewStore(t), Mirrors: fetch.Mirrors{fetch.Maven: {base}}}
	a, err := Resolve(t.Context(), f, recipes.MavenSource{Coordinate: "org.apache.iceberg:iceberg-api:1.11.0"}, "l")
	if err != nil {
		t.Fatal(err)
	}
	if a.SHA256 != "f00675a12ceb6d833bb9c22024823a3e7afdedf7abcefe34719f45b0d211995a" || a.Size != 705698 || a.License != "Apache-2.0" {
		t.Errorf("%+v", a)
	}
}
