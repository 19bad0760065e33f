package generate

import (
	"context"
	"testing"

	"github.com/shudl/shudl-assemble/rootfs"
)

func TestBaseFilesCopyDefaultsAndMakeFolders(t *testing.T) {
	in := view(t, map[string]string{
		"usr/share/base-files/profile":     "PATH=/bin\n",
		"usr/share/base-files/dot.bashrc":  "# bash\n",
		"usr/share/base-files/dot.profile": "# profile\n",
		"root/.profile":                    "mine\n",
		"opt/x":                            "a package's\n",
	})
	entries, err := baseFiles(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]rootfs.Entry{}
	for _, e := range entries {
		if _, twice := got[e.Path]; twice || !e.State {
			t.Errorf("%s: twice or not of the state layer", e.Path)
		}
		got[e.Path] = e
	}
	if e := got["etc/profile"]; e.Size != 10 || e.Mode != 0o644 {
		t.Errorf("etc/profile: %+v", e)
	}
	if e := got["srv"]; e.Type != rootfs.Directory || e.Mode != 0o755 {
		t.Errorf("srv: %+v", e)
	}
	if e := got["var/spool/mail"]; e.Link != "../mail" {
		t.Errorf("var/spool/mail: %+v", e)
	}
	for _, kept := range []string{"root/.profile", "opt", "etc/inputrc"} {
		if e, ok := got[kept]; ok {
			t.Errorf("%s was made: %+v", kept, e)
		}
	}
}

func TestBaseFilesWantsThePackage(t *testing.T) {
	if _, err := baseFiles(context.Background(), view(t, nil)); err == nil {
		t.Error("no error without base-files")
	}
}

func TestAlternativesLinkXZAndRmt(t *testing.T) {
	in := view(t, map[string]string{"usr/bin/xz": "x", "usr/bin/xzcat": "x", "usr/sbin/rmt-tar": "x", "usr/bin/mawk": "x"})
	entries, err := alternatives(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, entries)
	want := map[string]string{
		"usr/bin/awk": "->mawk", "usr/bin/nawk": "->mawk", "usr/bin/lzma": "->xz", "usr/bin/lzcat": "->xzcat", "usr/sbin/rmt": "->rmt-tar",
	}
	for path, target := range want {
		if got[path] != target {
			t.Errorf("%s is %q, want %q", path, got[path], target)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
}
