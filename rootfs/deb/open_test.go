package deb

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

const helloPURL = "pkg:deb/debian/hello@2.10-3?arch=amd64&distro=debian-13"

func helloControl() files {
	return files{
		"control":   "Package: hello\nSource: hello-src (2.10-2)\nVersion: 2.10-3\nArchitecture: amd64\nReplaces: old-hello (<< 2), hi\nDescription: x\n more\n",
		"conffiles": "/etc/hello.conf\nremove-on-upgrade /etc/gone\n",
		"postinst":  "#!/bin/sh\nset -e\n",
	}
}

func helloData() files {
	return files{
		"": "", "usr/": "", "usr/bin/": "", "usr/bin/hello": "program", "usr/bin/hi": "->hello", "etc/hello.conf": "x=1\n",
		"usr/share/doc/hello/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: me\nLicense: GPL-3+\n",
	}
}

// keep puts a .deb into a store and returns its artefact.
func keep(t testing.TB, deb []byte) (*fetch.Store, recipes.Artifact) {
	t.Helper()
	s := fetchtest.NewStore(t)
	d := fetchtest.Put(t, s, deb)
	return s, recipes.Artifact{Kind: recipes.KindDeb, Name: "hello", Version: "2.10-3", PURL: helloPURL, SHA256: d, Size: int64(len(deb)), Path: "pool/main/h/hello.deb"}
}

func TestOpen(t *testing.T) {
	control, data := archivetest.Gzip(t, tarball(t, helloControl())), tarball(t, helloData())
	for name, deb := range map[string][]byte{
		"xz":  debOf(t, helloControl(), helloData()),
		"zst": ar(arMember{"debian-binary", []byte("2.0\n")}, arMember{"_ignored", nil}, arMember{"control.tar.zst", archivetest.Zstd(t, tarball(t, helloControl()))}, arMember{"data.tar.zst", archivetest.Zstd(t, data)}),
		"tar": ar(arMember{"debian-binary/", []byte("2.0\n")}, arMember{"control.tar.gz/", control}, arMember{"data.tar/", data}),
	} {
		t.Run(name, func(t *testing.T) {
			s, a := keep(t, deb)
			for range 2 { // the second time from what the first remembered
				c, err := Open(context.Background(), s, a)
				if err != nil {
					t.Fatal(err)
				}
				checkHello(t, c)
				if string(c.Control) != helloControl()["control"] {
					t.Errorf("control paragraph %q", c.Control)
				}
			}
		})
	}
}

func checkHello(t *testing.T, c *Contents) {
	t.Helper()
	license, err := c.License(context.Background())
	if c.Name != "hello" || c.Version != "2.10-3" || c.Source != "hello-src" || license != "GPL-3.0-or-later" || err != nil {
		t.Errorf("%s %s of %s, %s: %v", c.Name, c.Version, c.Source, license, err)
	}
	if !slices.Equal(c.Replaces, []string{"old-hello", "hi"}) {
		t.Errorf("replaces %v", c.Replaces)
	}
	if c.Scripts["postinst"] == "" || len(c.Scripts) != 1 {
		t.Errorf("scripts %v", c.Scripts)
	}
	got := map[string]rootfs.Entry{}
	for _, e := range c.Entries {
		if e.Owner != helloPURL {
			t.Errorf("%s belongs to %q", e.Path, e.Owner)
		}
		got[e.Path] = e
	}
	if e := got["usr/bin/hi"]; e.Type != rootfs.Symlink || e.Link != "hello" {
		t.Errorf("link %+v", e)
	}
	r, err := got["usr/bin/hello"].Content.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, _ := io.ReadAll(r); string(text) != "program" {
		t.Errorf("content %q", text)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := debOf(t, helloControl(), helloData())
	with := func(field, value string) []byte {
		c := helloControl()
		c["control"] = strings.Replace(c["control"], field, value, 1)
		return debOf(t, c, helloData())
	}
	control, data := archivetest.Gzip(t, tarball(t, helloControl())), archivetest.Gzip(t, tarball(t, helloData()))
	binary := arMember{"debian-binary", []byte("2.0\n")}
	nested := helloControl()
	nested["../../etc/passwd"] = "x"
	escape := helloData()
	escape["../etc/passwd"] = "x"
	for name, c := range map[string]struct {
		deb  []byte
		says string
	}{
		"no archive":          {[]byte("PK\x03\x04 something else"), "no ar archive"},
		"cut short":           {good[:len(good)-40], "cut short"},
		"cut in a header":     {good[:30], "cut short"},
		"another package":     {with("Package: hello", "Package: hallo"), "not what is locked"},
		"another version":     {with("Version: 2.10-3", "Version: 2.10-4"), "not what is locked"},
		"another machine":     {with("Architecture: amd64", "Architecture: arm64"), "arm64, not amd64"},
		"a field twice":       {with("Architecture: amd64", "Architecture: amd64\nversion: 1"), "twice"},
		"no control":          {ar(binary, arMember{"control.tar.gz", archivetest.Gzip(t, tarball(t, files{"md5sums": ""}))}, arMember{"data.tar.gz", data}), "control paragraph"},
		"path in control":     {debOf(t, nested, helloData()), "not a plain file"},
		"path out of root":    {debOf(t, helloControl(), escape), "data part"},
		"format 3":            {ar(arMember{"debian-binary", []byte("3.0\n")}, arMember{"control.tar.gz", control}, arMember{"data.tar.gz", data}), "format"},
		"members in disorder": {ar(binary, arMember{"data.tar.gz", data}, arMember{"control.tar.gz", control}), "members are"},
		"a member more":       {ar(binary, arMember{"control.tar.gz", control}, arMember{"data.tar.gz", data}, arMember{"data.tar.xz", data}), "members are"},
		"damaged data":        {ar(binary, arMember{"control.tar.gz", control}, arMember{"data.tar.gz", data[:len(data)/2]}), "data part"},
		"unknown packing":     {ar(binary, arMember{"control.tar.gz", control}, arMember{"data.tar.lzma", data}), "members are"},
	} {
		t.Run(name, func(t *testing.T) {
			s, a := keep(t, c.deb)
			_, err := Open(context.Background(), s, a)
			if err == nil {
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "hello 2.10-3") {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestDatabase(t *testing.T) {
	s, a := keep(t, debOf(t, helloControl(), helloData()))
	c, err := Open(context.Background(), s, a)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := Database([]*Contents{c})
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 || entries[0].Path != "var/lib/dpkg/status.d/hello" || entries[1].Path != "var/lib/dpkg/status.d/hello.md5sums" {
		t.Fatalf("entries %v", entries)
	}
	text := string(entries[0].Content.(rootfs.Bytes))
	if !strings.HasPrefix(text, "Package: hello\nStatus: install ok installed\nSource: ") || !strings.HasSuffix(text, "Description: x\n more\n") {
		t.Errorf("control %q", text)
	}
	if e := entries[0]; !e.State || e.Owner != helloPURL || e.Mode != 0o644 {
		t.Errorf("entry %+v", e)
	}
	if sums := string(entries[1].Content.(rootfs.Bytes)); !strings.Contains(sums, "  usr/bin/hello\n") {
		t.Errorf("md5sums %q", sums)
	}
	if _, err := Database([]*Contents{c, c}); err == nil {
		t.Error("the same package twice was accepted")
	}
}

func TestCheckScripts(t *testing.T) {
	auto := "#!/bin/sh\nset -e\n# Automatically added by dh_python3\npy3compile -p hello\n# End automatically added section\n\nexit 0\n"
	for _, c := range []struct {
		name, script, text, triggers string
		bad                          string
	}{
		{name: "hello", script: "postinst", text: auto},
		{name: "hello", script: "postrm", text: "rm -rf /"},
		{name: "hello", script: "postinst", text: auto + "adduser hello\n", bad: "postinst"},
		{name: "hello", script: "preinst", text: strings.Replace(auto, "dh_python3", "dh_unheard_of/13", 1), bad: "preinst"},
		{name: "hello", script: "config", text: "db_input high hello/x\n", bad: "config"},
		{name: "postgresql-17", script: "postinst", text: "configure_version 17\n"},
		{name: "postgresql-common", script: "postinst", text: "adduser postgres\n", bad: "postinst"},
		{name: "hello", triggers: "# x\nactivate-noawait ldconfig\ninterest hello\n"},
		{name: "hello", triggers: "activate update-hello\n", bad: "update-hello"},
	} {
		err := CheckScripts(&Contents{Name: c.name, Version: "1", controlFiles: controlFiles{Scripts: map[string]string{c.script: c.text}, Triggers: c.triggers}})
		switch {
		case c.bad == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)):
			t.Errorf("%+v: %v", c, err)
		}
	}
	if s, ok := StandIn("openjdk-25-jre-headless", "postinst"); !ok || s == "" {
		t.Error("no row for Java 25")
	}
}
