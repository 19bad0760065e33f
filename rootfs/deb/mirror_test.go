package deb

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// today is the time of the tests.
var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newKey makes a signing key; its creation lies before today.
func newKey(t testing.TB, name string) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.org", &packet.Config{Time: func() time.Time { return today.Add(-time.Hour) }, Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// keyFolder writes the public keys to a folder, as --keyring names one.
func keyFolder(t testing.TB, keys ...*openpgp.Entity) string {
	t.Helper()
	dir := t.TempDir()
	for i, k := range keys {
		var b bytes.Buffer
		if err := k.Serialize(&b); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, fmt.Sprintf("%d.gpg", i)), b.String())
	}
	return dir
}

// sign makes an InRelease of a Release text.
func sign(t testing.TB, key *openpgp.Entity, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, key.PrivateKey, &packet.Config{Time: func() time.Time { return today }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func sum(data []byte) recipes.Digest {
	s := sha256.Sum256(data)
	return recipes.Digest(hex.EncodeToString(s[:]))
}

// xzip compresses with the real xz.
func xzip(t testing.TB, data []byte) []byte {
	t.Helper()
	cmd := exec.Command("xz", "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("xz is not installed: %v", err)
	}
	return out
}

// file is one entry of a package that a test makes; a value that begins with
// "->" is a symbolic link, a path that ends with a slash a folder.
type files map[string]string

// tarball makes a tar as dpkg-deb would: names begin with ./.
func tarball(t testing.TB, f files) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		h := &tar.Header{Name: "./" + name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(f[name])), ModTime: today}
		if name == "" || strings.HasSuffix(name, "/") {
			h.Typeflag, h.Mode, h.Size = tar.TypeDir, 0o755, 0
		}
		if target, ok := strings.CutPrefix(f[name], "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(f[name])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// arMember is one member of an ar archive that a test makes.
type arMember struct {
	name string
	data []byte
}

func ar(members ...arMember) []byte {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range members {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
		if len(m.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// debOf makes a .deb in memory. Control lists the members of its control
// part; md5sums is written where it is not among them.
func debOf(t testing.TB, control, data files) []byte {
	t.Helper()
	control = maps.Clone(control)
	if _, ok := control["md5sums"]; !ok {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(data)) {
			if name != "" && !strings.HasSuffix(name, "/") && !strings.HasPrefix(data[name], "->") {
				fmt.Fprintf(&b, "%x  %s\n", md5.Sum([]byte(data[name])), name)
			}
		}
		control["md5sums"] = b.String()
	}
	return ar(arMember{"debian-binary", []byte("2.0\n")}, arMember{"control.tar.gz", archivetest.Gzip(t, tarball(t, control))}, arMember{"data.tar.xz", xzip(t, tarball(t, data))})
}

// mirror is a Debian archive in a folder, with one suite, signed by a key of
// the test. Its fields are changed to break one link at a time.
type mirror struct {
	key          *openpgp.Entity
	suite        string
	date, until  time.Time
	packages     string
	listed       func([]byte) []byte // what Release says of, where not nil
	size         int64               // added to the size that Release says
	byHash, bare bool                // bare: not signed
	tamper       func(string) string // applied to the finished InRelease
}

func newMirror(t testing.TB) *mirror {
	return &mirror{key: newKey(t, "archive"), suite: "trixie", date: today.Add(-time.Hour), until: today.Add(7 * 24 * time.Hour), byHash: true}
}

// add lists a package of the mirror; the .deb itself need not be there.
func (m *mirror) add(name, version, fields string, deb []byte) {
	m.packages += fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nPriority: optional\n%sFilename: pool/main/%s_%s.deb\nSize: %d\nSHA256: %s\nDescription: x\n more\n\n",
		name, version, fields, name, strings.ReplaceAll(version, ":", "_"), max(1, len(deb)), sum(deb))
}

// serve writes the mirror and returns a fetcher that reads it.
func (m *mirror) serve(t testing.TB) *fetch.Fetcher {
	t.Helper()
	dir := t.TempDir()
	list := xzip(t, []byte(m.packages))
	said := list
	if m.listed != nil {
		said = m.listed(list)
	}
	folder := filepath.Join(dir, "dists", "trixie", "main", "binary-amd64")
	if err := os.MkdirAll(filepath.Join(folder, "by-hash", "SHA256"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "Packages.xz"), string(list))
	write(t, filepath.Join(folder, "by-hash", "SHA256", string(sum(said))), string(list))
	text := fmt.Sprintf("Origin: Debian\nSuite: stable\nVersion: 13.8\nCodename: %s\nDate: %s\n", m.suite, m.date.Format("Mon, 02 Jan 2006 15:04:05 MST"))
	if !m.until.IsZero() {
		text += fmt.Sprintf("Valid-Until: %s\n", m.until.Format("Mon, 02 Jan 2006 15:04:05 MST"))
	}
	if m.byHash {
		text += "Acquire-By-Hash: yes\n"
	}
	text += fmt.Sprintf("SHA256:\n %s %d main/binary-amd64/Packages.xz\n", sum(said), int64(len(said))+m.size)
	signed := string(sign(t, m.key, text))
	if m.bare {
		signed = text
	}
	if m.tamper != nil {
		signed = m.tamper(signed)
	}
	write(t, filepath.Join(dir, "dists", "trixie", "InRelease"), signed)
	return &fetch.Fetcher{Store: fetchtest.NewStore(t), Mirrors: fetch.Mirrors{fetch.Debian: {"file://" + dir}}}
}

// load reads the mirror with its own key.
func (m *mirror) load(t testing.TB, o LoadOptions) (*Index, error) {
	t.Helper()
	f := m.serve(t)
	if o.Keyring == "" {
		o.Keyring = keyFolder(t, m.key)
	}
	if o.Now.IsZero() {
		o.Now = today
	}
	o.Suites = []Suite{{Archive: fetch.Debian, Name: "trixie"}}
	return Load(context.Background(), f, o)
}

// heap is the memory in use after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
