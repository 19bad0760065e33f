package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

type zipMember struct {
	name, data string
	mode       fs.FileMode
	method     uint16
}

func makeZip(t testing.TB, members ...zipMember) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: m.method, Modified: time.Unix(1700000000, 0).UTC()}
		if m.mode != 0 {
			h.SetMode(m.mode)
		}
		out, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// storedZip has no data descriptors, so that offsets are easy to reckon.
func storedZip(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		out, err := w.CreateRaw(&zip.FileHeader{Name: name, CRC32: 0x8cdc1683, CompressedSize64: 1, UncompressedSize64: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZipEntries(t *testing.T) {
	ctx, s := context.Background(), fetchtest.NewStore(t)
	body := strings.Repeat("some text ", 1000)
	data := makeZip(t, zipMember{name: "d/"}, zipMember{name: "d/run", data: body, mode: 0o755, method: 8},
		zipMember{name: "plain", data: "x"}, zipMember{name: "l", data: "../../outside", mode: fs.ModeSymlink | 0o777})
	blob := fetchtest.Put(t, s, data)
	for range 2 { // computed, then remembered
		entries, err := Expand(ctx, s, blob, "x", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := paths(entries), "d d\nf d/run\nf plain\nl l > ../../outside"; got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		if contentOf(t, entries[1]) != body || entries[1].Mode != 0o755 || contentOf(t, entries[2]) != "x" {
			t.Errorf("%+v", entries[1])
		}
		if !entries[1].ModTime.Equal(time.Unix(1700000000, 0)) {
			t.Errorf("time %v", entries[1].ModTime)
		}
	}
}

// edit changes a copy of data at a signature.
func edit(data []byte, sig uint32, nth int, change func(at []byte)) []byte {
	out := bytes.Clone(data)
	mark := binary.LittleEndian.AppendUint32(nil, sig)
	at := 0
	for range nth + 1 {
		at += bytes.Index(out[at:], mark) + 1
	}
	change(out[at-1:])
	return out
}

func badZips(t testing.TB) map[string][]byte {
	le := binary.LittleEndian
	two := storedZip(t, "aa", "bb")
	deflated := makeZip(t, zipMember{name: "a", data: strings.Repeat("text", 100), method: 8})
	bad := map[string][]byte{
		"duplicate":           storedZip(t, "aa", "aa"),
		"file as folder":      storedZip(t, "a", "a/b"),
		"absolute":            storedZip(t, "/a"),
		"dot dot":             storedZip(t, "a/../../b"),
		"backslash":           storedZip(t, `a\b`),
		"drive":               storedZip(t, "C:a"),
		"control":             storedZip(t, "a\x01"),
		"not utf-8":           storedZip(t, "a\xff"),
		"empty name":          storedZip(t, ""),
		"empty folder name":   storedZip(t, "a//b"),
		"device":              makeZip(t, zipMember{name: "a", data: "x", mode: fs.ModeDevice | fs.ModeCharDevice | 0o644}),
		"folder with data":    edit(edit(storedZip(t, "aa"), sigLocal, 0, func(b []byte) { b[31] = '/' }), sigCentral, 0, func(b []byte) { b[47] = '/' }),
		"bytes before":        append([]byte("#!/bin/sh\n"), two...),
		"bytes after":         append(bytes.Clone(two), 'x'),
		"truncated":           two[:len(two)-1],
		"no end":              two[:len(two)-22],
		"zip in zip":          append(bytes.Clone(two), two...),
		"local name":          edit(two, sigLocal, 0, func(b []byte) { b[30] = 'c' }),
		"local method":        edit(two, sigLocal, 0, func(b []byte) { b[8] = 8 }),
		"local flags":         edit(two, sigLocal, 0, func(b []byte) { b[7] = 8 }),
		"local crc":           edit(two, sigLocal, 0, func(b []byte) { b[14] ^= 1 }),
		"local size":          edit(two, sigLocal, 0, func(b []byte) { b[18], b[22] = 2, 2 }),
		"local gone":          edit(two, sigLocal, 1, func(b []byte) { b[0] = 0 }),
		"overlap":             edit(two, sigCentral, 1, func(b []byte) { le.PutUint32(b[42:], 0) }),
		"size reaches on":     edit(edit(two, sigCentral, 0, func(b []byte) { b[20], b[24] = 9, 9 }), sigLocal, 0, func(b []byte) { b[18], b[22] = 9, 9 }),
		"stored two sizes":    edit(two, sigCentral, 0, func(b []byte) { b[24] = 2 }),
		"encrypted":           edit(two, sigCentral, 0, func(b []byte) { b[8] |= 1 }),
		"masked":              edit(two, sigCentral, 0, func(b []byte) { b[9] |= 0x20 }),
		"method":              edit(two, sigCentral, 0, func(b []byte) { b[10] = 12 }),
		"disk":                edit(two, sigCentral, 0, func(b []byte) { b[34] = 1 }),
		"zip64 size missing":  edit(two, sigCentral, 0, func(b []byte) { le.PutUint32(b[24:], max32) }),
		"end count":           edit(two, sigEnd, 0, func(b []byte) { b[8], b[10] = 1, 1 }),
		"end count of disk":   edit(two, sigEnd, 0, func(b []byte) { b[8] = 1 }),
		"end offset":          edit(two, sigEnd, 0, func(b []byte) { b[16]++ }),
		"end size":            edit(two, sigEnd, 0, func(b []byte) { b[12]-- }),
		"zip64 end missing":   edit(two, sigEnd, 0, func(b []byte) { le.PutUint16(b[8:], max16); le.PutUint16(b[10:], max16) }),
		"comment length":      edit(two, sigEnd, 0, func(b []byte) { b[20] = 1 }),
		"content":             edit(two, sigLocal, 0, func(b []byte) { b[32] = 'y' }),
		"descriptor crc":      edit(deflated, sigDescriptor, 0, func(b []byte) { b[4] ^= 1 }),
		"descriptor size":     edit(deflated, sigDescriptor, 0, func(b []byte) { b[12] ^= 1 }),
		"deflate data":        edit(deflated, sigLocal, 0, func(b []byte) { b[42] ^= 0xff }),
		"not a zip, but PK34": []byte("PK\x03\x04 and nothing"),
	}
	long := edit(deflated, sigCentral, 0, func(b []byte) { le.PutUint32(b[24:], 399) })
	bad["shorter than data"] = edit(long, sigDescriptor, 0, func(b []byte) { le.PutUint32(b[12:], 399) })
	// A member between the entries that only a reader of local headers sees.
	hidden := bytes.Clone(two)
	hidden = append(hidden[:0:0], two[:33]...)
	hidden = append(hidden, two[:33]...)
	hidden = append(hidden, two[33:]...)
	hidden = edit(hidden, sigEnd, 0, func(b []byte) { b[16] += 33 })
	bad["hidden member"] = edit(hidden, sigCentral, 1, func(b []byte) { b[42] += 33 })
	return bad
}

func TestZipRefused(t *testing.T) {
	if _, err := scanZip(bytes.NewReader(storedZip(t, "aa", "bb")), int64(len(storedZip(t, "aa", "bb"))), Limits{}); err != nil {
		t.Fatalf("the pattern of the bad ones: %v", err)
	}
	for name, data := range badZips(t) {
		t.Run(name, func(t *testing.T) {
			s := fetchtest.NewStore(t)
			entries, err := Zip(context.Background(), s, fetchtest.Put(t, s, data), Limits{})
			if err == nil {
				t.Fatalf("it passed: %s", paths(entries))
			}
			if !strings.HasPrefix(err.Error(), "zip: ") {
				t.Errorf("the error does not say that it is about a zip: %v", err)
			}
		})
	}
}

func TestZipLimits(t *testing.T) {
	data := makeZip(t, zipMember{name: "a", data: strings.Repeat("x", 40<<20), method: 8}, zipMember{name: "b", data: "x"})
	for knob, lim := range map[string]Limits{"Entries": {Entries: 1}, "File": {File: 1 << 20}, "Total": {Total: 40 << 20, Ratio: 1 << 20}, "Ratio": {}} {
		s := fetchtest.NewStore(t)
		_, err := Zip(context.Background(), s, fetchtest.Put(t, s, data), lim)
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Knob != knob {
			t.Errorf("%s: got %v", knob, err)
		}
	}
}

// More than 65,535 entries need the zip64 end record.
func TestZip64(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 66000 {
		if _, err := w.CreateRaw(&zip.FileHeader{Name: "d/" + string(rune('a'+i%26)) + time.Duration(i).String()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := scanZip(bytes.NewReader(b.Bytes()), int64(b.Len()), Limits{})
	if err != nil || len(entries) != 66000 {
		t.Fatalf("got %d, %v", len(entries), err)
	}
	var out bytes.Buffer
	if err := copyRaw(context.Background(), &out, bytes.NewReader(b.Bytes()), entries[:65999]); err != nil {
		t.Fatal(err)
	}
	if got, err := scanZip(bytes.NewReader(out.Bytes()), int64(out.Len()), Limits{}); err != nil || len(got) != 65999 {
		t.Fatalf("the copy: %d, %v", len(got), err)
	}
	for _, at := range []int{24, 32, 40, 48} {
		bad := edit(b.Bytes(), sigEnd64, 0, func(b []byte) { b[at] ^= 1 })
		if _, err := scanZip(bytes.NewReader(bad), int64(len(bad)), Limits{}); err == nil {
			t.Errorf("zip64 end record with byte %d changed passed", at)
		}
	}
}

func jar(t testing.TB, s interface {
	Has(recipes.Digest) (int64, bool)
}, data []byte, content rootfs.Content, d recipes.Digest) rootfs.Entry {
	t.Helper()
	return rootfs.Entry{Path: "lib/a.jar", Type: rootfs.Regular, Mode: 0o644, Size: int64(len(data)), SHA256: d, Content: content}
}

func TestDropInside(t *testing.T) {
	ctx := context.Background()
	data := makeZip(t, zipMember{name: "META-INF/"}, zipMember{name: "META-INF/MANIFEST.MF", data: "v\n", method: 8},
		zipMember{name: "native/windows/a.dll", data: strings.Repeat("w", 500), method: 8},
		zipMember{name: "native/linux/a.so", data: strings.Repeat("l", 500)}, zipMember{name: "A.class", data: "cafebabe", method: 8})
	drops := []recipes.Drop{{Pattern: "native/windows/**", Reason: "no Windows"}}
	var first []byte
	for range 2 {
		s := fetchtest.NewStore(t)
		d := fetchtest.Put(t, s, data)
		e, r, err := dropInside(ctx, s, jar(t, s, data, Object(s, d), d), globs(drops))
		if err != nil {
			t.Fatal(err)
		}
		dropped := r.Dropped
		if len(dropped) != 1 || dropped[0].Path != "lib/a.jar!/native/windows/a.dll" || dropped[0].Original != d || dropped[0].Size != 500 || dropped[0].Reason != "no Windows" {
			t.Fatalf("dropped %+v", dropped)
		}
		got := []byte(contentOf(t, e))
		if first == nil {
			first = got
		} else if !bytes.Equal(first, got) {
			t.Fatal("the same drop gave other bytes")
		}
		z, err := zip.NewReader(bytes.NewReader(got), int64(len(got)))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range z.File {
			names = append(names, f.Name)
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
		if got := strings.Join(names, " "); got != "META-INF/ META-INF/MANIFEST.MF native/linux/a.so A.class" {
			t.Errorf("order %s", got)
		}
		if _, err := scanZip(bytes.NewReader(got), int64(len(got)), Limits{}); err != nil {
			t.Errorf("the result is not well formed: %v", err)
		}
		again, r, err := dropInside(ctx, s, jar(t, s, data, Object(s, d), d), globs(drops))
		if err != nil || again.SHA256 != e.SHA256 || len(r.Dropped) != 1 || r.Dropped[0] != dropped[0] {
			t.Errorf("remembered: %+v %v", r.Dropped, err)
		}
	}
}

func TestForeignNatives(t *testing.T) {
	for name, want := range map[string][2]bool{ // foreign to amd64, to arm64
		"org/xerial/snappy/native/Linux/x86_64/libsnappyjava.so":      {false, true},
		"org/xerial/snappy/native/Linux/aarch64/libsnappyjava.so":     {true, false},
		"org/xerial/snappy/native/Linux/android-arm/libsnappyjava.so": {true, true},
		"org/xerial/snappy/native/Windows/x86_64/snappyjava.dll":      {true, true},
		"META-INF/native/libnetty_tcnative_linux_x86_64.so":           {false, true},
		"META-INF/native/libnetty_transport_native_epoll_aarch_64.so": {true, false},
		"META-INF/native/libnetty_tcnative_osx_x86_64.jnilib":         {true, true},
		"com/sun/jna/linux-x86-64/libjnidispatch.so":                  {false, true},
		"com/sun/jna/linux-x86/libjnidispatch.so":                     {true, true},
		"com/sun/jna/sunos-x86-64/libjnidispatch.so":                  {true, true},
		"librocksdbjni-linux64.so":                                    {false, true},
		"librocksdbjni-linux-aarch64-musl.so":                         {true, false},
		"linux/amd64/libzstd-jni-1.5.6-6.so":                          {false, true},
		"linux/ppc64le/libzstd-jni-1.5.6-6.so":                        {true, true},
		"jni/x86_64-FreeBSD/libjffi-1.2.so":                           {true, true},
		"META-INF/native/libconscrypt_openjdk_jni-linux-x86_64.so":    {false, true},
		"lib/libplain.so":                                               {false, false},
		"win/windows/Doc.class":                                         {false, false},
		"net/jpountz/util/linux/amd64/liblz4-java.so":                   {false, true},
		"META-INF/native-image/linux/aarch64/reflect-config.properties": {false, false},
	} {
		if got := [2]bool{isForeign(name, recipes.LinuxAMD64), isForeign(name, recipes.LinuxARM64)}; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func FuzzZip(f *testing.F) {
	f.Add(makeZip(f, zipMember{name: "d/"}, zipMember{name: "d/a", data: strings.Repeat("x", 100), method: 8}, zipMember{name: "b", data: "y"}))
	f.Add(storedZip(f, "aa", "bb"))
	for _, bad := range badZips(f) {
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		entries, err := scanZip(r, int64(len(data)), Limits{File: 1 << 20})
		if err != nil {
			return
		}
		// Whatever passes is to the standard library's reader the same.
		z, err := zip.NewReader(r, int64(len(data)))
		if err != nil {
			return // it refuses more
		}
		if len(z.File) != len(entries) {
			t.Fatalf("%d members, to another reader %d", len(entries), len(z.File))
		}
		for i, m := range z.File {
			at, err := m.DataOffset()
			if err != nil {
				t.Fatal(err)
			}
			e := entries[i]
			if m.Name != e.name || int64(m.UncompressedSize64) != e.size || at != e.data {
				t.Fatalf("%+v is to another reader %+v at %d", e, m.FileHeader, at)
			}
		}
	})
}
