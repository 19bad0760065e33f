package archive

import (
	"context"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// tree is a small archive with hard links, as the Trino tarball has them.
func tree(t *testing.T) []rootfs.Entry {
	t.Helper()
	hard := func(name, target string) member { return link('1', name, target) }
	run := file("top/bin/run", "#!")
	run.Mode = 0o4775
	data := makeTar(t, dir("top/"), dir("top/bin/"), run, file("top/plugin/delta/a.jar", "jar a"), file("top/plugin/delta/b.jar", "jar b"),
		hard("top/plugin/iceberg/a.jar", "top/plugin/delta/a.jar"), hard("top/plugin/memory/a.jar", "top/plugin/delta/a.jar"),
		hard("top/plugin/memory/b.jar", "top/plugin/delta/b.jar"), file("top/README", "read"))
	entries, err := Tar(context.Background(), fetchtest.NewStore(t), "k", opener(data), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func drops(globs ...string) []recipes.Drop {
	var out []recipes.Drop
	for _, g := range globs {
		out = append(out, recipes.Drop{Pattern: g, Reason: "because"})
	}
	return out
}

func TestPlace(t *testing.T) {
	for name, c := range map[string]struct {
		p       recipes.Placement
		want    string
		dropped string
	}{
		"into": {recipes.Placement{Strip: 1, Select: []string{"README"}, Into: "opt/x", UID: 5, GID: 6}, "d opt/x\nf opt/x/README", ""},
		"first name dropped": {recipes.Placement{Strip: 1, Select: []string{"plugin/**"}, Drop: drops("plugin/delta/**"), Into: "opt"},
			"d opt\nd opt/plugin\nd opt/plugin/iceberg\nf opt/plugin/iceberg/a.jar\nd opt/plugin/memory\n" +
				"h opt/plugin/memory/a.jar > opt/plugin/iceberg/a.jar\nf opt/plugin/memory/b.jar", "plugin/delta/a.jar plugin/delta/b.jar"},
		"first name not selected": {recipes.Placement{Select: []string{"top/plugin/memory/a.jar"}}, "d top\nd top/plugin\nd top/plugin/memory\nf top/plugin/memory/a.jar", ""},
		"links kept": {recipes.Placement{Strip: 2, Select: []string{"*/a.jar"}},
			"d delta\nf delta/a.jar\nd iceberg\nh iceberg/a.jar > delta/a.jar\nd memory\nh memory/a.jar > delta/a.jar", ""},
	} {
		t.Run(name, func(t *testing.T) {
			placed, dropped, err := Place(tree(t), c.p)
			if err != nil {
				t.Fatal(err)
			}
			if got := paths(placed); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			var gone []string
			for _, d := range dropped {
				gone = append(gone, d.Path)
				if d.Reason != "because" || len(d.SHA256) != 64 {
					t.Errorf("%+v", d)
				}
			}
			if got := strings.Join(gone, " "); got != c.dropped {
				t.Errorf("dropped %s", got)
			}
			for _, e := range placed {
				if e.UID != c.p.UID || e.GID != c.p.GID || e.Type == rootfs.Regular && contentOf(t, e) == "" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
	placed, _, err := Place(tree(t), recipes.Placement{Strip: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range placed {
		if e.Path == "bin/run" && e.Mode != 0o755 {
			t.Errorf("mode %o: no setuid, no write bit of the packer's umask", e.Mode)
		}
	}
	placed, _, err = Place(tree(t), recipes.Placement{Strip: 1, Select: []string{"bin/**"}, Mode: 0o500})
	if err != nil || placed[len(placed)-1].Mode != 0o500 {
		t.Errorf("%v %v", placed, err)
	}
}

func TestPlaceUnmatched(t *testing.T) {
	for want, p := range map[string]recipes.Placement{
		`select "nothing/**" matches nothing`: {Select: []string{"top/**", "nothing/**"}},
		`drop "*.exe" matches nothing`:        {Drop: drops("top/README", "*.exe")},
		`glob "[": `:                          {Drop: drops("[")},
		"leaves the root":                     {Into: "../x"},
	} {
		if _, _, err := Place(tree(t), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// Lay goes into an archive inside an archive, and drops inside jars, of which
// all names are one file.
func TestLay(t *testing.T) {
	ctx, s := context.Background(), fetchtest.NewStore(t)
	j := string(makeZip(t, zipMember{name: "A.class", data: "a", method: 8}, zipMember{name: "x/linux/aarch64/lib.so", data: "l", method: 8},
		zipMember{name: "doc/README", data: "r", method: 8}))
	inner := makeTar(t, file("lib/a.jar", j), link('1', "plugin/a.jar", "lib/a.jar"), file("lib/odd.jar", "no zip at all"))
	outer := makeZip(t, zipMember{name: "META-INF/MANIFEST.MF", data: "v"}, zipMember{name: "content.tar.gz", data: string(archivetest.Gzip(t, inner)), method: 8})
	blob := fetchtest.Put(t, s, outer)
	lay := func(p recipes.Placement) ([]rootfs.Entry, []Dropped, error) {
		return Lay(ctx, s, blob, Options{Name: "outer.jar", Placement: p, Platform: recipes.LinuxAMD64})
	}
	placed, dropped, err := lay(recipes.Placement{Inner: "*.tar.gz", Drop: drops("plugin/*.jar!/doc/**"), Into: "opt"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := paths(placed), "d opt\nd opt/lib\nf opt/lib/a.jar\nd opt/plugin\nh opt/plugin/a.jar > opt/lib/a.jar\nf opt/lib/odd.jar"; got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	if len(dropped) != 2 || dropped[0].Path != "lib/a.jar!/doc/README" || dropped[1].Path != "lib/a.jar!/x/linux/aarch64/lib.so" {
		t.Errorf("dropped %+v", dropped)
	}
	light := contentOf(t, placed[2])
	members, err := scanZip(strings.NewReader(light), int64(len(light)), Limits{})
	if err != nil || len(members) != 1 || members[0].name != "A.class" {
		t.Errorf("the jar holds %v, %v", members, err)
	}
	for want, p := range map[string]recipes.Placement{
		`inner "*.txz" matches 0 files`:          {Inner: "*.txz"},
		`inner "**" matches 2 files`:             {Inner: "**"},
		`drop "lib/a.jar!/none" matches nothing`: {Inner: "*.tar.gz", Drop: drops("lib/a.jar!/doc/**", "lib/a.jar!/none")},
		"lib/odd.jar: zip: ":                     {Inner: "*.tar.gz", Drop: drops("lib/odd.jar!/a")},
	} {
		if _, _, err := lay(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
