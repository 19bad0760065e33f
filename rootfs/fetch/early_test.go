package fetch

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

// early reads everything and notes what it was, and whether that was kept.
type early struct {
	read string
	err  error
	kept atomic.Bool
}

func (e *early) of(_ context.Context, _ recipes.Artifact, content io.Reader) func() error {
	data, err := io.ReadAll(content)
	e.read, e.err = string(data), err
	return func() error {
		e.kept.Store(true)
		return nil
	}
}

// What an Early reads is the file from its start, also where a run went on with
// what an earlier one had.
func TestEarlyReadsTheDownload(t *testing.T) {
	body := content(300_000)
	for name, handle := range map[string]http.HandlerFunc{"whole": serve(body), "cut": cut(body, 100_000)} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, handle)
			f := fetcher(t, m.URL)
			var e early
			f.Early = e.of
			if err := f.For("trino").Artifact(t.Context(), artifact(body)); err != nil {
				t.Fatal(err)
			}
			if e.err != nil || e.read != body || !e.kept.Load() {
				t.Errorf("%d bytes, %v, kept: %t", len(e.read), e.err, e.kept.Load())
			}
		})
	}
}

// It reads while bytes are still to come: the mirror gives the second half once
// the first was read.
func TestEarlyReadsBeforeTheEnd(t *testing.T) {
	body := content(300_000)
	half, seen := len(body)/2, make(chan struct{})
	m := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, body[:half])
		w.(http.Flusher).Flush()
		select {
		case <-seen:
			io.WriteString(w, body[half:])
		case <-r.Context().Done():
		}
	})
	f := fetcher(t, m.URL)
	f.Early = func(_ context.Context, _ recipes.Artifact, content io.Reader) func() error {
		if _, err := io.ReadFull(content, make([]byte, half)); err == nil {
			close(seen)
		}
		return nil
	}
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
}

// Bytes that turn out to be another file's are not kept, and the next mirror's
// are read anew.
func TestEarlyKeepsNothingOfAnotherFile(t *testing.T) {
	body := content(100_000)
	wrong, right := newMirror(t, serve("x"+body[1:])), newMirror(t, serve(body))
	f := fetcher(t, wrong.URL)
	var e early
	f.Early = e.of
	if err := f.Artifact(t.Context(), artifact(body)); err == nil || e.kept.Load() {
		t.Fatalf("%v, kept: %t", err, e.kept.Load())
	}
	f = fetcher(t, wrong.URL, right.URL)
	f.Early = e.of
	if err := f.Artifact(t.Context(), artifact(body)); err != nil || !e.kept.Load() || e.read != body {
		t.Fatalf("%v, kept: %t", err, e.kept.Load())
	}
}

// A reader that waits for more ends when the mirror has no more.
func TestEarlyEndsWithTheDownload(t *testing.T) {
	body := content(100_000)
	m := newMirror(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, body[:1000])
	})
	f := fetcher(t, m.URL)
	var e early
	f.Early = e.of
	if err := f.Artifact(t.Context(), artifact(body)); err == nil || e.err == nil || e.kept.Load() {
		t.Fatalf("%v, read: %v, kept: %t", err, e.err, e.kept.Load())
	}
}
