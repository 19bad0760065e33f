package sbom_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/evidence"
)

func digest(s string) recipes.Digest {
	sum := sha256.Sum256([]byte(s))
	return recipes.Digest(hex.EncodeToString(sum[:]))
}

func file(path, owner, content string) rootfs.Entry {
	sum := sha1.Sum([]byte(content))
	return rootfs.Entry{
		Path: path, Type: rootfs.Regular, Mode: 0o644, Size: int64(len(content)),
		SHA256: digest(content), SHA1: hex.EncodeToString(sum[:]), Owner: owner,
	}
}

func dir(path, owner string) rootfs.Entry {
	return rootfs.Entry{Path: path, Type: rootfs.Directory, Mode: 0o755, Owner: owner}
}

const (
	libc     = "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13"
	server   = "pkg:deb/debian/postgresql-17@17.12-0%2Bdeb13u1?arch=amd64&distro=debian-13"
	exporter = "pkg:maven/org.example/exporter@1.2"
)

// world is an image under test: what the driver knows, and its layers.
type world struct {
	sbom.Input
	layers []layer
}

type layer struct {
	entries   []rootfs.Entry
	files     []evidence.File
	inherited bool
}

// input makes the fragments of the layers.
func (w world) input() (sbom.Input, error) {
	in := w.Input
	for _, l := range w.layers {
		f, err := sbom.NewFragment(l.entries, l.files)
		if err != nil {
			return in, err
		}
		in.Layers = append(in.Layers, sbom.Layer{Fragment: f, Inherited: l.inherited})
	}
	return in, nil
}

func input(t testing.TB, w world) sbom.Input {
	t.Helper()
	in, err := w.input()
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func postgresql() world {
	return world{postgresqlInput(), postgresqlLayers()}
}

func postgresqlInput() sbom.Input {
	return sbom.Input{
		Name: "postgresql", Version: "17.12", Tag: "17.12-3f9a1c2e-debian",
		Platform: recipes.LinuxAMD64, Distro: recipes.Debian, Release: "13.8",
		Digest: digest("manifest"), Created: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), Tool: "0.1.0",
		Base: &sbom.Base{Name: "base-postgresql", Version: "17.12", Digest: digest("base")},
		Artifacts: []sbom.Artifact{
			{Artifact: recipes.Artifact{
				Kind: recipes.KindDeb, Name: "postgresql-17", Version: "17.12-0+deb13u1", PURL: server, SHA256: digest("server.deb"),
				Archive: "debian", Path: "pool/main/p/postgresql-17/postgresql-17_17.12-0+deb13u1_amd64.deb", Origin: "postgresql-17",
				License: "PostgreSQL and BSD-3-clause and Custom-Unix",
			}},
			{Artifact: recipes.Artifact{
				Kind: recipes.KindDeb, Name: "libc6", Version: "2.41-12", PURL: libc, SHA256: digest("libc.deb"),
				Archive: "debian", License: "NOASSERTION", Origin: "glibc",
			}, Inherited: true},
			{Artifact: recipes.Artifact{
				Kind: recipes.KindMaven, Name: "org.example:exporter", Version: "1.2", PURL: exporter, SHA256: digest("jar"),
			}, Supplier: "The Example Project"},
		},
		Dropped: []sbom.Dropped{
			{Owner: server, Path: "usr/lib/postgresql/17/lib/bitcode/b", Reason: "only for JIT", SHA256: digest("b")},
			{Owner: server, Path: "usr/lib/postgresql/17/lib/bitcode/a", Reason: "only for JIT", SHA256: digest("a")},
			{Owner: exporter, Path: "exporter.jar!/natives/windows/x.dll", Reason: "another platform", Original: digest("jar before")},
		},
	}
}

func postgresqlLayers() []layer {
	return []layer{
		{inherited: true, entries: []rootfs.Entry{
			dir("usr", libc), dir("usr/lib", libc), file("usr/lib/libc.so.6", libc, "libc"),
			file("etc/passwd", "recipe:base-debian/accounts", "root"),
			{Path: "lib", Type: rootfs.Symlink, Link: "usr/lib", Owner: libc},
			{Path: "usr/share/doc/libc6", Type: rootfs.Symlink, Link: "libc-bin", Owner: libc},
			file("usr/share/doc/libc-bin/copyright", libc, "copyright"),
		}, files: []evidence.File{
			{Path: "usr/share/doc/libc-bin/copyright", Facts: evidence.Facts{
				License: "LGPL-2.1-or-later AND LicenseRef-permissive", Texts: map[string]string{"LicenseRef-permissive": "Do as you like."}, FreeForm: true,
			}},
		}},
		{entries: []rootfs.Entry{
			dir("usr", server), dir("usr/bin", server), file("usr/bin/postgres", server, "postgres"),
			{Path: "usr/bin/postmaster", Type: rootfs.Hardlink, Link: "usr/bin/postgres", Owner: server},
			file("opt/exporter.jar", exporter, "jar"),
			file("opt/lib/with-1.0.jar", exporter, "with"),
			file("usr/bin/docker-entrypoint.sh", "recipe:postgresql/entrypoint/files/usr/bin/docker-entrypoint.sh", "#!/bin/sh"),
		}, files: []evidence.File{
			{Path: "opt/exporter.jar", Facts: evidence.Facts{Jar: &evidence.Jar{}, Parts: []evidence.Part{
				{Type: "maven", Namespace: "org.example", Name: "exporter", Version: "1.2", License: "Apache-2.0", Where: "META-INF/maven/org.example/exporter/pom.properties"},
				{Type: "maven", Namespace: "com.google.guava", Name: "guava", Version: "33.0-jre", Where: "META-INF/maven/com.google.guava/guava/pom.properties"},
				{Type: "golang", Namespace: "golang.org/x", Name: "sys", Version: "v0.40.0", Sum: "h1:abc=", License: "BSD-3-Clause"},
			}}},
			{Path: "opt/lib/with-1.0.jar", Facts: evidence.Facts{Jar: &evidence.Jar{}, License: "MIT", Supplier: "With Ltd"}},
		}},
		{entries: []rootfs.Entry{
			file("etc/passwd", "recipe:postgresql/accounts", "root postgres"),
		}},
	}
}
