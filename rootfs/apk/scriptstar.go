package apk

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// scriptOwner is how scripts.tar names the package of a script.
func scriptOwner(p *Package) string { return p.ID() + "." + p.Checksum }

// parseScripts reads scripts.tar.
func parseScripts(data []byte) ([]StoredScript, error) {
	var list []StoredScript
	stream := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := stream.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		at := strings.LastIndexByte(header.Name, '.')
		if at < 0 || !isScript(header.Name[at:]) {
			return nil, fmt.Errorf("%q is no script", cut(header.Name))
		}
		body, err := io.ReadAll(stream)
		if err != nil {
			return nil, err
		}
		list = append(list, StoredScript{header.Name[:at], Script{header.Name[at:], body, header.ModTime.Unix()}})
	}
}

// writeScripts writes scripts.tar.
func writeScripts(list []StoredScript) ([]byte, error) {
	var b bytes.Buffer
	stream := tar.NewWriter(&b)
	for _, s := range list {
		err := stream.WriteHeader(&tar.Header{
			Name: s.Package + s.Name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(s.Body)),
			Uname: "root", Gname: "root", ModTime: time.Unix(s.Time, 0), Format: tar.FormatUSTAR,
		})
		if err != nil {
			return nil, fmt.Errorf("scripts.tar: %s%s: %w", s.Package, s.Name, err)
		}
		if _, err := stream.Write(s.Body); err != nil {
			return nil, fmt.Errorf("scripts.tar: %w", err)
		}
	}
	if err := stream.Close(); err != nil {
		return nil, fmt.Errorf("scripts.tar: %w", err)
	}
	return b.Bytes(), nil
}

// parseTriggers reads the file triggers: a checksum and folders a line.
func parseTriggers(text string) []Trigger {
	var list []Trigger
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			list = append(list, Trigger{words[0], words[1:]})
		}
	}
	return list
}
