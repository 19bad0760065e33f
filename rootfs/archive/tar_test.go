package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive/archivetest"
	"github.com/shudl/shudl-assemble/rootfs/fetch/fetchtest"
)

// xzHello is a tar of the file a with "hello\n" in it, packed by XZ Utils
// (xz -0): there is no encoder among the dependencies.
const xzHello = `/Td6WFoAAATm1rRGAgAhAQwAAACPmEGc4Af/AFJdADCAM1AYaImC7aeAafrabrgkdh43bbouA6srnH2w1DuTJq2zqIefLTwfeVDcKBEyddQgBDfxl99s85FLyZM1bTeN5icgid0VSgz9+JdrRofX9wAAAAAqzn7F74jfegABboAQAAAA+l1UELHEZ/sCAAAAAARZWg==`

func TestTarEntries(t *testing.T) {
	ctx, s := context.Background(), fetchtest.NewStore(t)
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	withCap := file("./bin/ping", "ping")
	withCap.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "no"}
	long := strings.Repeat("long/", 60) + "name"
	data := makeTar(t, dir("./"), dir("./bin/"), withCap, link(tar.TypeLink, "./bin/ping6", "./bin/ping"),
		link(tar.TypeLink, "bin/ping7", "bin/ping6"), link(tar.TypeSymlink, "etc", "../../outside"), file(long, "x"), file("empty", ""))
	entries, err := Tar(ctx, s, "k", opener(data), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := "d bin\nf bin/ping\nh bin/ping6 > bin/ping\nh bin/ping7 > bin/ping\nl etc > ../../outside\nf " + long + "\nf empty"
	if got := paths(entries); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	ping := entries[1]
	if ping.XAttrs["security.capability"] != capability || len(ping.XAttrs) != 1 {
		t.Errorf("xattrs %q", ping.XAttrs)
	}
	if got := contentOf(t, ping); got != "ping" || ping.Size != 4 || ping.SHA1 != "572982bbc4f29ee92ae2d65a9edc2453d2c9170c" {
		t.Errorf("content %q, entry %+v", got, ping)
	}
	if !ping.ModTime.Equal(time.Unix(1700000000, 0)) || !entries[0].ModTime.IsZero() && entries[0].ModTime.Unix() <= 0 {
		t.Errorf("times %v %v", ping.ModTime, entries[0].ModTime)
	}

	// The second time the stream is not opened.
	again, err := Tar(ctx, s, "k", func() (io.ReadCloser, error) { return nil, errors.New("opened again") }, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if paths(again) != want || contentOf(t, again[1]) != "ping" || again[1].XAttrs["security.capability"] != capability {
		t.Error("the cached entries differ")
	}
}

// raw makes a header by hand, for what archive/tar does not write.
func raw(kind byte, name string, size int64, sizeField string) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	if sizeField == "" {
		sizeField = fmt.Sprintf("%011o\x00", size)
	}
	copy(b[124:], sizeField)
	copy(b[136:], "00000000000\x00")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func block(data string) []byte {
	b := make([]byte, (len(data)+511)/512*512)
	copy(b, data)
	return b
}

func pax(records ...string) []byte {
	var s string
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n = len(fmt.Sprint(n)) + len(r) + 2
		}
		s += fmt.Sprintf("%d %s\n", n, r)
	}
	return append(raw('x', "pax", int64(len(s)), ""), block(s)...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func trailer() []byte { return make([]byte, 1024) }

func refused() map[string]struct {
	data []byte
	want string
} {
	type bad = struct {
		data []byte
		want string
	}
	name := func(n string) []byte { return join(raw('0', n, 1, ""), block("x"), trailer()) }
	out := map[string]bad{
		"absolute":         {name("/etc/passwd"), "absolute"},
		"dot dot":          {name("a/../../b"), "leaves the root"},
		"only dot dot":     {name(".."), "leaves the root"},
		"control":          {name("a\nb"), "control characters"},
		"not utf-8":        {name("a\xff"), "UTF-8"},
		"root file":        {name("."), "the root is not a directory"},
		"char device":      {join(raw('3', "dev/null", 0, ""), trailer()), "device"},
		"block device":     {join(raw('4', "dev/sda", 0, ""), trailer()), "device"},
		"fifo":             {join(raw('6', "pipe", 0, ""), trailer()), "device"},
		"contiguous":       {join(raw('7', "c", 0, ""), trailer()), "unknown type"},
		"gnu sparse":       {join(raw('S', "s", 0, ""), trailer()), "sparse"},
		"pax sparse":       {join(pax("GNU.sparse.major=1", "GNU.sparse.minor=0"), raw('0', "s", 0, ""), trailer()), "sparse"},
		"pax size smaller": {join(pax("size=0"), raw('0', "a", 512, ""), block("x"), trailer()), "two sizes"},
		"pax size larger":  {join(pax("size=512"), raw('0', "a", 0, ""), block("x"), trailer()), "two sizes"},
		"pax size odd":     {join(pax("size=+1"), raw('0', "a", 1, ""), block("x"), trailer()), "pax size"},
		"pax twice":        {join(pax("path=a"), pax("path=b"), raw('0', "c", 0, ""), trailer()), "follows another"},
		"pax then long":    {join(pax("path=a"), raw('L', "././@LongLink", 2, ""), block("b\x00"), raw('0', "c", 0, ""), trailer()), "follows another"},
		"long then pax":    {join(raw('L', "././@LongLink", 2, ""), block("b\x00"), pax("path=a"), raw('0', "c", 0, ""), trailer()), "follows another"},
		"long twice":       {join(raw('L', "././@LongLink", 2, ""), block("b\x00"), raw('L', "././@LongLink", 2, ""), block("a\x00"), raw('0', "c", 0, ""), trailer()), "follows another"},
		"pax key twice":    {join(pax("path=a", "path=b"), raw('0', "c", 0, ""), trailer()), "repeated"},
		"pax broken":       {join(raw('x', "pax", 5, ""), block("9 a=b"), raw('0', "c", 0, ""), trailer()), ""},
		"pax dangling":     {join(pax("path=a"), trailer()), ""},
		"global path":      {join(func() []byte { p := pax("path=a"); copy(p, raw('g', "pax", 9, "")); return p }(), raw('0', "c", 0, ""), trailer()), "global pax record"},
		"data in a link":   {join(raw('2', "l", 512, ""), block("x"), trailer()), "of data"},
		"data in a dir":    {join(raw('5', "d/", 512, ""), block("x"), trailer()), "of data"},
		"hidden second":    {join(raw('0', "a", 0, ""), trailer(), raw('0', "b", 0, ""), trailer()), "after the end"},
		"one zero block":   {join(raw('0', "a", 0, ""), make([]byte, 512), raw('0', "b", 0, ""), trailer()), ""},
		"bad checksum":     {join(func() []byte { b := raw('0', "a", 0, ""); b[0] = 'b'; return b }(), trailer()), "header"},
		"negative size":    {join(raw('0', "a", 0, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), trailer()), "size"},
		"cut in content":   {join(raw('0', "a", 600, ""), block("x")), "unexpected EOF"},
		"cut in header":    {raw('0', "a", 0, "")[:300], "unexpected EOF"},
	}
	for _, target := range []string{"/etc/passwd", "../x", "later", "d"} {
		h := raw('1', "l", 0, "")
		copy(h[157:], target)
		copy(h[148:], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		out["hard link to "+target] = bad{join(raw('5', "d/", 0, ""), h, raw('0', "later", 0, ""), trailer()), "hard link"}
	}
	out["file twice"] = bad{join(raw('0', "a", 0, ""), raw('0', "./a", 0, ""), trailer()), "twice"}
	out["file over dir"] = bad{join(raw('5', "a/", 0, ""), raw('0', "a", 0, ""), trailer()), "twice"}
	return out
}

func TestTarRefused(t *testing.T) {
	for name, bad := range refused() {
		t.Run(name, func(t *testing.T) {
			s := fetchtest.NewStore(t)
			_, err := Tar(context.Background(), s, "k", opener(bad.data), Limits{})
			if err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Fatalf("got %v, want an error with %q", err, bad.want)
			}
			if _, ok := s.Record("tar", indexVersion+"k"); ok {
				t.Error("something was remembered")
			}
			usage, err := s.Usage(context.Background())
			if err != nil || usage.Objects.Files != 0 || usage.Leftover.Files != 0 {
				t.Errorf("the store holds %+v, %v", usage, err)
			}
		})
	}
}

// A trailer that is cut off at a header is what apk's segments have.
func TestTarWithoutTrailer(t *testing.T) {
	entries, err := Tar(context.Background(), fetchtest.NewStore(t), "k", opener(join(raw('0', "a", 1, ""), block("x"))), Limits{})
	if err != nil || paths(entries) != "f a" {
		t.Errorf("got %v, %v", entries, err)
	}
}

func TestLimits(t *testing.T) {
	data := makeTar(t, file("a", strings.Repeat("x", 1000)), file("b", strings.Repeat("y", 1000)))
	for knob, lim := range map[string]Limits{"Entries": {Entries: 1}, "File": {File: 999}, "Total": {Total: 1999}} {
		_, err := Tar(context.Background(), fetchtest.NewStore(t), "k", opener(data), lim)
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Knob != knob || !strings.Contains(err.Error(), knob) {
			t.Errorf("%s: got %v", knob, err)
		}
	}
	// An index that was made under wider limits is held to narrower ones.
	s := fetchtest.NewStore(t)
	if _, err := Tar(context.Background(), s, "k", opener(data), Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Tar(context.Background(), s, "k", opener(data), Limits{Entries: 1}); err == nil {
		t.Error("the cached index passed")
	}
}

func TestRatio(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.CopyN(w, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Reader(&b)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Knob != "Ratio" {
		t.Fatalf("got %v", err)
	}
	if n > ratioFloor+1<<20 {
		t.Errorf("%d bytes came out first", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestExpandCompressed(t *testing.T) {
	plain := makeTar(t, file("a", "hello\n"))
	packed, err := base64.StdEncoding.DecodeString(xzHello)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"tar": plain, "xz": packed, "gzip": archivetest.Gzip(t, plain), "zstd": archivetest.Zstd(t, plain), "two members": join(archivetest.Gzip(t, plain[:512]), archivetest.Gzip(t, plain[512:]))} {
		t.Run(name, func(t *testing.T) {
			s := fetchtest.NewStore(t)
			entries, err := Expand(context.Background(), s, fetchtest.Put(t, s, data), "x", Limits{})
			if err != nil || len(entries) != 1 || contentOf(t, entries[0]) != "hello\n" {
				t.Fatalf("got %v, %v", entries, err)
			}
		})
		if name == "tar" {
			continue
		}
		t.Run(name+" truncated", func(t *testing.T) {
			for cut := 1; cut < len(data); cut += 7 {
				s := fetchtest.NewStore(t)
				if _, err := Expand(context.Background(), s, fetchtest.Put(t, s, data[:len(data)-cut]), "x", Limits{}); err == nil {
					t.Fatalf("%d bytes short passed", cut)
				}
			}
		})
		t.Run(name+" corrupt", func(t *testing.T) {
			damaged := bytes.Clone(data)
			damaged[len(damaged)-6] ^= 1
			s := fetchtest.NewStore(t)
			if _, err := Expand(context.Background(), s, fetchtest.Put(t, s, damaged), "x", Limits{}); err == nil {
				t.Fatal("it passed")
			}
		})
	}
}

func FuzzTar(f *testing.F) {
	f.Add(makeTar(f, dir("d/"), file("d/f", "x"), link(tar.TypeLink, "h", "d/f"), link(tar.TypeSymlink, "l", "/x")))
	for _, bad := range refused() {
		f.Add(bad.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var spool bytes.Buffer
		x, err := readTar(context.Background(), bytes.NewReader(data), &spool, Limits{Total: 1 << 20})
		if err != nil {
			return
		}
		seen := map[string]indexed{}
		for _, e := range x.Entries {
			if _, twice := seen[e.Path]; twice {
				t.Fatalf("%q twice", e.Path)
			}
			if clean, err := cleanPath(e.Path); err != nil || clean != e.Path {
				t.Fatalf("path %q, %v", e.Path, err)
			}
			if e.Type == string(rootfs.Hardlink) && seen[e.Link].Type != string(rootfs.Regular) {
				t.Fatalf("hard link %q to %q", e.Path, e.Link)
			}
			if e.Type == string(rootfs.Regular) && e.Offset+e.Size > int64(spool.Len()) {
				t.Fatalf("%q lies outside of the spool", e.Path)
			}
			seen[e.Path] = e
		}
		bare, err := readTar(context.Background(), bytes.NewReader(data), nil, Limits{Total: 1 << 20})
		if err != nil {
			t.Fatalf("without a spool: %v", err)
		}
		for i, e := range bare.Entries {
			was := x.Entries[i]
			if !bytes.Equal(data[e.Offset:e.Offset+e.Size], spool.Bytes()[was.Offset:was.Offset+was.Size]) {
				t.Fatalf("%q lies elsewhere", e.Path)
			}
		}
	})
}
