package generate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"io/fs"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// view makes an input whose tree has the given files; a value that begins
// with "->" is a symbolic link.
func view(t *testing.T, files map[string]string) Input {
	t.Helper()
	tree := rootfs.NewTree(nil)
	for path, data := range files {
		e := rootfs.NewFile(path, 0o644, []byte(data))
		if target, ok := strings.CutPrefix(data, "->"); ok {
			e = rootfs.Entry{Path: path, Type: rootfs.Symlink, Mode: 0o777, Link: target}
		}
		e.Owner = "pkg:deb/debian/x@1"
		if err := tree.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	img := &recipes.Image{Ref: recipes.Ref{Name: "base-debian"}, Distro: recipes.Debian}
	return Input{Image: img, View: tree, Owner: "recipe:base-debian/system/generate/x"}
}

// text gives the generated entries as path → content or ->target.
func text(t *testing.T, entries []rootfs.Entry) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range entries {
		if !e.State || !strings.HasPrefix(e.Owner, "recipe:") {
			t.Errorf("%s: state %v, owner %q", e.Path, e.State, e.Owner)
		}
		if e.Type == rootfs.Symlink {
			out[e.Path] = "->" + e.Link
			continue
		}
		r, err := e.Content.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		out[e.Path] = string(data)
	}
	return out
}

func certificate(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCABundleIsSortedAndListed(t *testing.T) {
	a, b := certificate(t, "a"), certificate(t, "b")
	in := view(t, map[string]string{
		"usr/share/ca-certificates/mozilla/B.crt": b,
		"usr/share/ca-certificates/mozilla/A.crt": a + "\n",
		"usr/share/ca-certificates/README":        "no certificate",
	})
	entries, err := caBundle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, entries)
	if got[bundle] != a+b || got["etc/ca-certificates.conf"] != "mozilla/A.crt\nmozilla/B.crt\n" {
		t.Errorf("bundle or list is wrong: %q", got["etc/ca-certificates.conf"])
	}
}

func TestCABundleWantsCertificates(t *testing.T) {
	if _, err := caBundle(t.Context(), view(t, nil)); err == nil {
		t.Error("no error for a tree without certificates")
	}
	in := view(t, map[string]string{"usr/share/ca-certificates/mozilla/A.crt": "garbage"})
	if _, err := caBundle(t.Context(), in); err == nil || !strings.Contains(err.Error(), "A.crt") {
		t.Errorf("error %v does not name the file", err)
	}
}

func TestJavaCacertsHoldTheBundleAndAreStable(t *testing.T) {
	in := view(t, map[string]string{bundle: certificate(t, "same") + certificate(t, "same")})
	first, err := javaCacerts(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	second, err := javaCacerts(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	one, two := text(t, first)[cacerts], text(t, second)[cacerts]
	if one == "" || one != two {
		t.Error("the trust store is empty or differs between two runs")
	}
	certs, err := pkcs12.DecodeTrustStore([]byte(one), "")
	if err != nil || len(certs) != 2 {
		t.Errorf("%d certificates come back, error %v", len(certs), err)
	}
}

// What cannot be read is no reason to begin with something else: a passwd made
// anew would lack the parent's accounts.
func TestAFileThatCannotBeReadIsNotMadeAnew(t *testing.T) {
	in := view(t, map[string]string{"usr/share/base-passwd/passwd.master": "root:*:0:0::/root:/bin/sh\n", "usr/bin/bash": "b"})
	for _, path := range []string{"etc/passwd", "etc/shells"} {
		e := rootfs.NewFile(path, 0o644, []byte("x"))
		e.Owner, e.Content = "pkg:deb/debian/x@1", lost{}
		if err := in.View.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	in.Accounts = []recipes.Account{{Name: "postgres", UID: 999, GID: 999}}
	if entries, err := Accounts(t.Context(), in); err == nil {
		t.Errorf("accounts: %v", text(t, entries))
	}
	if entries, err := shells(t.Context(), in); err == nil {
		t.Errorf("shells: %v", text(t, entries))
	}
}

// lost is content that the store does not hold any more.
type lost struct{}

func (lost) Open(context.Context) (io.ReadCloser, error) { return nil, fs.ErrNotExist }

func TestAccountsRefuseAnotherId(t *testing.T) {
	for name, a := range map[string]recipes.Account{
		"same name, other id": {Name: "daemon", UID: 7, GID: 7},
		"same id, other name": {Name: "other", UID: 1, GID: 1},
		"no such group":       {Name: "new", UID: 5, GID: 5, Supplementary: []string{"ssl"}},
	} {
		in := view(t, map[string]string{"usr/share/base-passwd/passwd.master": "daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"})
		in.Accounts = []recipes.Account{a}
		if _, err := Accounts(t.Context(), in); err == nil || !strings.Contains(err.Error(), a.Name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSystemFiles(t *testing.T) {
	in := view(t, map[string]string{
		"bin": "->usr/bin", "usr/bin/mawk": "m", "usr/bin/which.debianutils": "w", "usr/bin/bash": "b", "usr/bin/sh": "->bash",
		"usr/share/zoneinfo/Etc/UTC": "z", "usr/share/libc-bin/nsswitch.conf": "hosts: files dns\n",
	})
	for name, want := range map[string]map[string]string{
		"alternatives": {"usr/bin/awk": "->mawk", "usr/bin/nawk": "->mawk", "usr/bin/which": "->which.debianutils"},
		"shells":       {"etc/shells": "# /etc/shells: valid login shells\n/bin/sh\n/usr/bin/sh\n/bin/bash\n/usr/bin/bash\n"},
		"nsswitch":     {"etc/nsswitch.conf": "hosts: files dns\n"},
		"timezone":     {"etc/localtime": "->/usr/share/zoneinfo/Etc/UTC", "etc/timezone": "Etc/UTC\n"},
	} {
		f, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := f(t.Context(), in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := text(t, entries)
		if len(got) != len(want) {
			t.Errorf("%s makes %v", name, got)
		}
		for path, data := range want {
			if got[path] != data {
				t.Errorf("%s: %s is %q, not %q", name, path, got[path], data)
			}
		}
	}
}

func TestLookupNamesWhatThereIs(t *testing.T) {
	if _, err := Lookup("ldconfig"); err == nil || !strings.Contains(err.Error(), "ca-bundle") {
		t.Errorf("error %v does not name the generators", err)
	}
}
