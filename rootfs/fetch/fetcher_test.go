package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
)

func TestArtifactIsFetchedOnce(t *testing.T) {
	body := content(1 << 16)
	m := newMirror(t, serve(body))
	f := fetcher(t, m.URL+"/base/")
	for range 2 {
		if err := f.Artifact(t.Context(), artifact(body)); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, f.Store, digestOf(body)) != body {
		t.Error("other bytes")
	}
	if m.count() != 1 {
		t.Errorf("%d requests", m.count())
	}
	if r := m.requests[0]; r.URL.Path != "/base/g/a/1/a-1.jar" || !strings.HasPrefix(r.UserAgent(), "shudl-assemble") {
		t.Errorf("asked for %s as %q", r.URL, r.UserAgent())
	}
}

func TestCutDownloadGoesOn(t *testing.T) {
	body := content(100_000)
	m := newMirror(t, cut(body, 40_000))
	f := fetcher(t, m.URL)
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	if read(t, f.Store, digestOf(body)) != body {
		t.Error("other bytes")
	}
	var ranges []string
	for _, r := range m.requests {
		ranges = append(ranges, r.Header.Get("Range"))
	}
	if len(ranges) != 3 || ranges[0] != "" || ranges[1] == "" || ranges[2] == "" {
		t.Errorf("ranges asked for: %q", ranges)
	}
}

func TestNextRunAndNextMirrorGoOn(t *testing.T) {
	body := content(100_000)
	first := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		cut(body, 40_000)(w, r)
	})
	f := fetcher(t, first.URL)
	if err := f.Artifact(t.Context(), artifact(body)); err == nil {
		t.Fatal("a cut download succeeded")
	}
	second := newMirror(t, serve(body))
	again := &Fetcher{Store: openStore(t, f.Store.Dir()), Mirrors: Mirrors{Maven: {second.URL}}}
	if err := again.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	if got := second.requests[0].Header.Get("Range"); got != "bytes=40000-" {
		t.Errorf("the second run asked for %q", got)
	}
	if left, _ := os.ReadDir(filepath.Join(f.Store.Dir(), partialDir)); len(left) != 0 {
		t.Errorf("partial files are left: %v", left)
	}
}

func TestWrongPartialIsThrownAway(t *testing.T) {
	body := content(50_000)
	m := newMirror(t, serve(body))
	f := fetcher(t, m.URL)
	writeFile(t, filepath.Join(f.Store.Dir(), partialDir, string(digestOf(body))), []byte("something else"))
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	if read(t, f.Store, digestOf(body)) != body {
		t.Error("other bytes")
	}
}

// Without a sha256 only a strong ETag lets a download go on.
func TestUnknownContentGoesOnByETag(t *testing.T) {
	for _, tag := range []string{`"one"`, `W/"one"`, ""} {
		body := content(60_000)
		cuts := 1
		m := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
			if tag != "" {
				w.Header().Set("ETag", tag)
			}
			if cuts > 0 {
				cuts--
				cut(body, 20_000)(w, r)
			}
			serve(body)(w, r)
		})
		f := fetcher(t, m.URL)
		res, err := f.Get(t.Context(), Request{Archive: Maven, Path: "index"})
		if err != nil {
			t.Fatalf("ETag %s: %v", tag, err)
		}
		if res.SHA256 != digestOf(body) || res.Mirror != m.URL {
			t.Errorf("ETag %s: %+v", tag, res)
		}
		strong := tag == `"one"`
		if got := m.requests[1].Header.Get("If-Range"); (got == tag) != strong && tag != "" {
			t.Errorf("ETag %s: If-Range %q", tag, got)
		}
		if got := m.requests[1].Header.Get("Range"); (got != "") != strong {
			t.Errorf("ETag %s: Range %q", tag, got)
		}
	}
}

func TestNextMirrorIsAsked(t *testing.T) {
	body := content(10_000)
	wrong := "wrong" + body[5:]
	faults := map[string]http.HandlerFunc{
		"404":            status(404),
		"403":            status(403),
		"wrong checksum": serve(wrong),
		"truncated":      serve(body[:5_000]),
		"longer":         serve(body + "more"),
		"longer, size not said": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, body+"more")
		},
		"a range out of place": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 7-10/11")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, "evil")
		},
	}
	for name, handle := range faults {
		t.Run(name, func(t *testing.T) {
			bad, good := newMirror(t, handle), newMirror(t, serve(body))
			f := fetcher(t, bad.URL, good.URL)
			if err := f.Artifact(t.Context(), artifact(body)); err != nil {
				t.Fatal(err)
			}
			if read(t, f.Store, digestOf(body)) != body {
				t.Error("other bytes")
			}
			if bad.count() == 0 || good.count() != 1 {
				t.Errorf("asked %d and %d times", bad.count(), good.count())
			}

			alone := fetcher(t, bad.URL)
			err := alone.Artifact(t.Context(), artifact(body))
			var mirrors *MirrorError
			if !errors.As(err, &mirrors) || len(mirrors.Tried) != 1 || mirrors.Path != "g/a/1/a-1.jar" {
				t.Fatalf("alone: %v", err)
			}
			if mirrors.NotFound() != (name == "404") {
				t.Errorf("NotFound() = %v", mirrors.NotFound())
			}
			if !strings.Contains(err.Error(), "nessie") || !strings.Contains(err.Error(), bad.URL+"/g/a/1/a-1.jar") {
				t.Errorf("the error does not name image and address: %v", err)
			}
			if u, _ := alone.Store.Usage(t.Context()); u.Objects.Files != 0 || u.Partial.Files != 0 || u.Leftover.Files != 0 {
				t.Errorf("something is left: %+v", u)
			}
		})
	}
}

func TestPassingFaultsAreTriedAgain(t *testing.T) {
	body := content(1_000)
	var n atomic.Int32
	m := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		serve(body)(w, r)
	})
	f := fetcher(t, m.URL)
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{403, 404, 410} {
		m := newMirror(t, status(code))
		f := fetcher(t, m.URL)
		if err := f.Artifact(t.Context(), artifact(body)); err == nil {
			t.Error("no error")
		}
		if m.count() != 1 {
			t.Errorf("HTTP %d was asked %d times", code, m.count())
		}
	}
}

func TestUnreachableMirrorsFailFast(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	f := &Fetcher{Store: newStore(t), Mirrors: Mirrors{Alpine: {address + "/alpine"}}, Image: "base-alpine"}
	start := time.Now()
	_, err = f.Get(t.Context(), Request{Archive: Alpine, Path: "v3.24/main/x86_64/APKINDEX.tar.gz"})
	if time.Since(start) > connectTimeout {
		t.Errorf("took %v", time.Since(start))
	}
	var mirrors *MirrorError
	if !errors.As(err, &mirrors) {
		t.Fatal(err)
	}
	text := err.Error() + "\n" + strings.Join(mirrors.Help(), "\n")
	for _, want := range []string{"base-alpine", address, "v3.24/main/x86_64/APKINDEX.tar.gz", "refused",
		"--mirror alpine=URL", "--offline --bundle FILE", "--distro debian"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestSizeIsCapped(t *testing.T) {
	m := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		for range 1 << 20 {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	f := fetcher(t, m.URL)
	_, err := f.Get(t.Context(), Request{Archive: Maven, Path: "endless", MaxSize: 1 << 20})
	var size *SizeError
	if !errors.As(err, &size) || size.Want != 1<<20 {
		t.Fatal(err)
	}
}

func TestCheckFailureAsksTheNextMirror(t *testing.T) {
	old, current := newMirror(t, serve("old")), newMirror(t, serve("new"))
	f := fetcher(t, old.URL, current.URL)
	res, err := f.Get(t.Context(), Request{Archive: Maven, Path: "InRelease", Check: func(r io.ReadSeeker) error {
		if b, _ := io.ReadAll(r); string(b) != "new" {
			return fmt.Errorf("expired")
		}
		return nil
	}})
	if err != nil || res.Mirror != current.URL || read(t, f.Store, res.SHA256) != "new" {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, ok := f.Store.Has(digestOf("old")); ok {
		t.Error("what failed the check is in the store")
	}
}

func TestFileMirror(t *testing.T) {
	body := content(1_000)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "g/a/1"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "g/a/1/a-1.jar"), []byte(body))
	for _, base := range []string{"file:" + dir, "file://" + dir, "file://localhost" + dir} {
		f := fetcher(t, base)
		f.Offline = true // a folder is no network
		if err := f.Artifact(t.Context(), artifact(body)); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{"../secret", "a/../../secret", "/etc/passwd", "a//b", ""} {
		if _, err := fetcher(t, "file:"+dir).Get(t.Context(), Request{Archive: Maven, Path: path}); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("path %q: %v", path, err)
		}
	}
}

func TestOffline(t *testing.T) {
	body := content(1_000)
	m := newMirror(t, serve(body))
	f := fetcher(t, m.URL)
	f.Offline = true
	err := f.Artifact(t.Context(), artifact(body))
	if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "g/a/1/a-1.jar") {
		t.Error(err)
	}
	if m.count() != 0 {
		t.Error("the network was used")
	}
	put(t, f.Store, body)
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Error(err)
	}
}

func TestFlippedObjectIsFetchedAgain(t *testing.T) {
	body := content(1_000)
	m := newMirror(t, serve(body))
	f := fetcher(t, m.URL)
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	flip(t, f.Store.objectPath(digestOf(body)), 10)
	later := &Fetcher{Store: openStore(t, f.Store.Dir()), Mirrors: f.Mirrors, Progress: &said{}}
	if err := later.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	if read(t, later.Store, digestOf(body)) != body || m.count() != 2 {
		t.Error("it was not fetched again")
	}
	if text := later.Progress.(*said).String(); !strings.Contains(text, "removed") {
		t.Errorf("nobody was told: %q", text)
	}
}

func TestManyArtifactsFewConnections(t *testing.T) {
	var now, most atomic.Int32
	m := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		time.Sleep(5 * time.Millisecond)
		io.WriteString(w, r.URL.Path)
	})
	f := fetcher(t, m.URL)
	f.Jobs = 3
	var list []recipes.Artifact
	for i := range 40 {
		body := fmt.Sprintf("/file-%d", i%30)
		list = append(list, recipes.Artifact{Archive: Maven, Path: body[1:], SHA256: digestOf(body), Size: int64(len(body))})
	}
	if err := f.Artifacts(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if m.count() != 30 || most.Load() > 3 {
		t.Errorf("%d requests, %d at once", m.count(), most.Load())
	}
}

func TestLocatorFindsTheAddress(t *testing.T) {
	body := content(100)
	m := newMirror(t, serve(body))
	f := fetcher(t, "http://127.0.0.1:1")
	f.Locators = map[string]Locator{Maven: func(_ context.Context, _ *Fetcher, a recipes.Artifact) (string, error) {
		return m.URL + "/elsewhere/" + a.Name, nil
	}}
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	if m.requests[0].URL.Path != "/elsewhere/g:a" {
		t.Errorf("asked for %s", m.requests[0].URL)
	}
}
