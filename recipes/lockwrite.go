package recipes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"

	"github.com/google/renameio/v2"
)

// lockedHead is the line that begins a locked image.
type lockedHead struct {
	Image    string    `json:"image"`
	Platform Platform  `json:"platform"`
	Date     time.Time `json:"date,omitzero"`
	Sources  Digest    `json:"sources"`
}

// Write writes the lock as JSON, one artefact a line, so that a change of one
// package is a change of one line. Equal locks give equal bytes.
func (l *Lock) Write(w io.Writer) error {
	out := lockWriter{Writer: bufio.NewWriter(w)}
	out.text("{\n")
	for _, f := range []struct {
		name  string
		value any
	}{{"format", l.Format}, {"distro", l.Distro}, {"release", l.Release}, {"date", l.Date.UTC()},
		{"encoder", l.Encoder}, {"encoder-golden", l.EncoderGolden}, {"layer-format", l.LayerFormat}, {"go", l.Go}} {
		if f.name == "layer-format" && l.LayerFormat == 0 {
			continue // a lock from before the layers' format stood in it
		}
		out.text("  \"" + f.name + "\": ")
		out.json(f.value)
		out.text(",\n")
	}
	out.text("  \"indexes\": [")
	for i, index := range l.Indexes {
		index.Date = index.Date.UTC()
		out.item(i, "    ")
		out.json(index)
	}
	out.text("\n  ],\n  \"images\": [")
	for i, image := range l.Images {
		out.item(i, "    ")
		head := out.encode(lockedHead{image.Ref.String(), image.Platform, image.Date.UTC(), image.Sources})
		out.text(string(bytes.TrimSuffix(head, []byte("}"))) + ",\"artifacts\":[")
		for j, artifact := range image.Artifacts {
			out.item(j, "      ")
			out.json(artifact)
		}
		if len(image.Artifacts) > 0 {
			out.text("\n    ")
		}
		out.text("]}")
	}
	out.text("\n  ]\n}\n")
	if out.err != nil {
		return out.err
	}
	return out.Flush()
}

// WriteFile replaces a lock file as a whole or not at all.
func (l *Lock) WriteFile(name string) error {
	var data bytes.Buffer
	if err := l.Write(&data); err != nil {
		return err
	}
	return renameio.WriteFile(name, data.Bytes(), 0o644)
}

// lockWriter keeps the first error.
type lockWriter struct {
	*bufio.Writer
	err error
}

func (w *lockWriter) text(s string) {
	if w.err == nil {
		_, w.err = w.WriteString(s)
	}
}

// item begins a list item on a line of its own.
func (w *lockWriter) item(i int, indent string) {
	if i > 0 {
		w.text(",")
	}
	w.text("\n" + indent)
}

func (w *lockWriter) json(v any) { w.text(string(w.encode(v))) }

// encode gives a value's JSON on one line, with < and > left readable.
func (w *lockWriter) encode(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
