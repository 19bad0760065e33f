package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/layers/provenance"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/rebase"
	"github.com/shudl/shudl-assemble/layers/reproduce"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/resolve"
)

func TestStatusOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want status
	}{
		{errors.New("anything"), 1},
		{usage(errors.New("flag")), 2},
		{recipes.Errors{{Message: "bad"}}, 2},
		{publish.ErrUsage, 2},
		{attest.ErrKeyRequired, 2},
		{publish.ErrPermission, 4},
		{verify.ErrNotSigned, 10},
		{publish.ErrNoTag, 11},
		{verify.ErrNoMatch, 12},
		{verify.ErrAttestation, 13},
		{verify.ErrPolicy, 22},
		{verify.ErrContent, 1},
		{trust.ErrConfig, 2},
		{&resolve.OutdatedError{}, 20},
		{errMoved, 20},
		{publish.ErrMoved, 21},
		{reproduce.ErrDiffers, 21},
		{&provenance.InputsError{}, 2},
		{rebase.ErrBase, 2},
		{&assemble.OtherBaseError{}, 21},
		{&assemble.OtherLayerError{}, 21},
		{&assemble.BudgetError{}, 22},
		{&contract.UnmetError{}, 22},
		{context.Canceled, 130},
		{errInterrupted, 130},
	} {
		if got := statusOf(fmt.Errorf("image x: %w", test.err)); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
	known := map[status]bool{}
	for _, s := range statuses() {
		if known[s.status] {
			t.Errorf("%d stands twice", s.status)
		}
		known[s.status] = true
	}
}

func TestReportSaysTheWaysOn(t *testing.T) {
	var b bytes.Buffer
	report(&b, fmt.Errorf("resolving alpine: %w", &fetch.MirrorError{
		Image: "base-alpine", Archive: fetch.Alpine, Path: "v3.24/x",
		Tried: []fetch.Attempt{{Mirror: "http://user:canary@host/alpine/v3.24/x", Err: errors.New("refused by https://canary@host/")}},
	}))
	want := `error: resolving alpine: base-alpine: fetch v3.24/x: no mirror of "alpine" gave it
    http://xxxxx@host/alpine/v3.24/x: refused by https://xxxxx@host/
help: --mirror alpine=URL asks another mirror (a folder too: --mirror alpine=file:DIR)
help: --offline --bundle FILE builds from what ` + "`fetch --bundle FILE`" + ` wrote on a machine with a network
help: --distro debian makes the same images from Debian
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// A full disk is told once, by the error at the end, with what to do: every
// task that meets it names another file.
func TestFullDisk(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		var b bytes.Buffer
		p := newPlain(&b)
		var last error
		for i := range 3 {
			last = fmt.Errorf("store: %w", &fs.PathError{Op: "write", Path: fmt.Sprint("/cache/tmp/fetch-", i), Err: cause})
			p.Start("fetch", fmt.Sprint(i, ".jar")).Done(last)
		}
		p.Close()
		report(&b, fmt.Errorf("spark:4: fetch 2.jar: %w", last))
		want := "error: spark:4: fetch 2.jar: store: write /cache/tmp/fetch-2: " + cause.Error() + "\n" +
			"help: free space on that disk: `shudl-assemble cache gc` removes what was not used for 30 days from the store\n" +
			"help: --cache DIR puts the store on another disk, --to oci:DIR the images\n"
		if b.String() != want {
			t.Errorf("got\n%s\nwant\n%s", b.String(), want)
		}
	}
	if full(fmt.Errorf("%w: %w", sandbox.ErrNoNamespaces, syscall.ENOSPC)) {
		t.Error("a limit of namespaces is taken for a full disk")
	}
}

// The mirrors that libraries know must be such that fetch takes them.
func TestDefaultMirrors(t *testing.T) {
	for _, name := range []string{"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "SHUDL_MIRROR_MAVEN", "SHUDL_MIRROR_PYPI"} {
		t.Setenv(name, "")
	}
	m, err := fetch.Discover(fetch.DiscoverOptions{
		Defaults: defaultMirrors(t.Context()), Root: t.TempDir(), Home: t.TempDir(), Getenv: func(string) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fetch.Maven, fetch.PyPI} {
		if len(m[name]) != 1 || !strings.HasPrefix(m[name][0], "https://") {
			t.Errorf("%s: %v", name, m[name])
		}
	}
	if !strings.HasSuffix(m[fetch.PyPI][0], "/simple") {
		t.Errorf("pypi: %v is not the simple index", m[fetch.PyPI])
	}
}

func TestEveryFlagHasAnEnvironmentVariable(t *testing.T) {
	t.Setenv("SHUDL_PROGRESS", "loud")
	var out, errs bytes.Buffer
	if got := run([]string{"version"}, &out, &errs); got != 2 || !strings.Contains(errs.String(), "loud") {
		t.Errorf("exit %d: %s", got, errs.String())
	}
	if got := run([]string{"version", "--progress", "plain"}, &out, &errs); got != 0 {
		t.Errorf("the flag did not win: exit %d", got)
	}
	t.Setenv("SHUDL_PROGRESS", "")
	t.Setenv("SHUDL_MAX_SIZE", "much")
	t.Setenv("SHUDL_CACHE", t.TempDir())
	errs.Reset()
	if got := run([]string{"cache", "gc"}, &out, &errs); got != 2 || !strings.Contains(errs.String(), "SHUDL_MAX_SIZE") {
		t.Errorf("exit %d: %s", got, errs.String())
	}
}

func TestRefsAndTable(t *testing.T) {
	r := assemble.Result{Images: []assemble.Image{{
		Ref: recipes.Ref{Name: "base-java", Stream: "21"}, Tags: []string{"21.0.9-0a1b2c3d-debian", "21-debian"},
		Reference: "oci:shudl-images/base-java:21.0.9-0a1b2c3d-debian", Digest: "sha256:" + strings.Repeat("ab", 32),
		KeyID: "0123456789abcdef", Budget: 200e6,
		Platforms: []assemble.Platform{{Platform: "linux/amd64", Own: 2, Inherited: 2, Size: 98_765_432, Uncompressed: 301_000_000}},
	}}}
	var b bytes.Buffer
	if err := writeRefs(&b, r); err != nil {
		t.Fatal(err)
	}
	if want := "oci:shudl-images/base-java:21.0.9-0a1b2c3d-debian@sha256:" + strings.Repeat("ab", 32) + "\n"; b.String() != want {
		t.Errorf("refs: %q", b.String())
	}
	b.Reset()
	if err := writeTable(&b, r); err != nil {
		t.Fatal(err)
	}
	want := "IMAGE         TAG                     DIGEST               LAYERS  COMPRESSED  UNCOMPRESSED  BUDGET    KEY\n" +
		"base-java:21  21.0.9-0a1b2c3d-debian  sha256:abababababab  2+2     98.8 MB     301.0 MB      200.0 MB  0123456789abcdef\n"
	if b.String() != want {
		t.Errorf("table:\n%s\nwant\n%s", b.String(), want)
	}
}

func TestPlainProgress(t *testing.T) {
	var b bytes.Buffer
	p := newPlain(&b)
	task := p.Start("fetch", "a.deb")
	task.Total(3_000_000)
	task.Add(3_000_000)
	task.Done(nil)
	cause := errors.New("http://u:canary@host: broken")
	p.Start("pack", "one").Done(cause)
	p.Start("pack", "two").Done(cause)
	p.Start("pack", "three").Done(context.Canceled)
	p.Say("wrote %s", "x.lock")
	p.Close()
	p.Close()
	if got := b.String(); got != "fetch a.deb 3.0 MB 0.0 s\npack one: http://xxxxx@host: broken\nwrote x.lock\n" {
		t.Errorf("got:\n%s", got)
	}
}
