package pypi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// maxText bounds what is read into memory of one file, in bytes: metadata and
// scripts.
const maxText = 4 << 20

// Entries lays out a file that is in the store. A wheel lands as installers
// lay it out: modules in src.Into or the interpreter's site-packages, scripts
// and entry points in usr/bin. An sdist is an archive to select from.
func Entries(ctx context.Context, s *fetch.Store, a recipes.Artifact, src recipes.PyPISource, t Target) ([]rootfs.Entry, []archive.Dropped, error) {
	var (
		entries []rootfs.Entry
		dropped []archive.Dropped
		err     error
	)
	if src.SDist {
		entries, dropped, err = archive.Lay(ctx, s, a.SHA256, archive.Options{Name: path.Base(a.Path), Placement: src.Placement, Platform: platform(t)})
	} else {
		entries, dropped, err = wheelEntries(ctx, s, a, src, t)
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range entries {
		entries[i].Owner = a.PURL
	}
	return entries, dropped, nil
}

// platform is the target's as OCI writes it.
func platform(t Target) recipes.Platform {
	switch t.Arch {
	case "x86_64":
		return recipes.LinuxAMD64
	case "aarch64":
		return recipes.LinuxARM64
	}
	return ""
}

// wheel is a wheel that was opened and held to its RECORD.
type wheel struct {
	entries  []rootfs.Entry
	info     string // the .dist-info folder
	metadata metadata
}

// openWheel reads a wheel's structure and checks all of it.
func openWheel(ctx context.Context, s *fetch.Store, a recipes.Artifact) (*wheel, error) {
	name, err := parseWheelName(path.Base(a.Path))
	if err != nil {
		return nil, err
	}
	entries, err := archive.Zip(ctx, s, a.SHA256, archive.Limits{})
	if err != nil {
		return nil, err
	}
	w := &wheel{entries: entries}
	if w.info, err = distInfo(entries, name); err != nil {
		return nil, err
	}
	record, err := w.read(ctx, w.info+"/RECORD")
	if err != nil {
		return nil, err
	}
	lines, err := parseRecord(bytes.NewReader(record), w.info)
	if err != nil {
		return nil, err
	}
	if err := holdToRecord(entries, lines, w.info); err != nil {
		return nil, err
	}
	if err := w.readMetadata(ctx, name); err != nil {
		return nil, err
	}
	return w, nil
}

// distInfo finds the one folder with the wheel's metadata.
func distInfo(entries []rootfs.Entry, name wheelName) (string, error) {
	found := ""
	for _, e := range entries {
		top, _, _ := strings.Cut(e.Path, "/")
		stem, ok := strings.CutSuffix(top, ".dist-info")
		if !ok || top == found {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("two folders of metadata, %s and %s", found, top)
		}
		project, version, ok := strings.Cut(stem, "-")
		if !ok || Normalize(project) != Normalize(name.project) || version != name.version {
			return "", fmt.Errorf("the metadata of %s in a wheel of %s-%s", top, name.project, name.version)
		}
		found = top
	}
	if found == "" {
		return "", fmt.Errorf("it has no .dist-info folder")
	}
	return found, nil
}

// readMetadata reads WHEEL and METADATA.
func (w *wheel) readMetadata(ctx context.Context, name wheelName) error {
	about, err := w.read(ctx, w.info+"/WHEEL")
	if err != nil {
		return err
	}
	if !bytes.Contains(append([]byte("\n"), about...), []byte("\nWheel-Version: 1.")) {
		return fmt.Errorf("its format is not version 1 of wheels")
	}
	data, err := w.read(ctx, w.info+"/METADATA")
	if err != nil {
		return err
	}
	if w.metadata, err = parseMetadata(data); err != nil {
		return err
	}
	if w.metadata.name != Normalize(name.project) {
		return fmt.Errorf("its METADATA is that of %s", w.metadata.name)
	}
	return nil
}

// read returns a small file of the wheel.
func (w *wheel) read(ctx context.Context, name string) ([]byte, error) {
	for _, e := range w.entries {
		if e.Path == name && e.Type == rootfs.Regular {
			return readEntry(ctx, e)
		}
	}
	return nil, fmt.Errorf("it has no %s", name)
}

func readEntry(ctx context.Context, e rootfs.Entry) ([]byte, error) {
	if e.Size > maxText {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", e.Path, e.Size, maxText)
	}
	r, err := e.Content.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
