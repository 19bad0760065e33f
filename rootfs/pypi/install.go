package pypi

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// interpreter is what scripts of wheels run with.
const interpreter = "#!/usr/bin/python3"

// wheelEntries spreads a wheel (PEP 427, "Installing a wheel").
func wheelEntries(ctx context.Context, s *fetch.Store, a recipes.Artifact, src recipes.PyPISource, t Target) ([]rootfs.Entry, []archive.Dropped, error) {
	w, err := openWheel(ctx, s, a)
	if err != nil {
		return nil, nil, err
	}
	place := src.Placement
	if place.Into == "" {
		if t.Python == "" {
			return nil, nil, fmt.Errorf("the Python version is not known: the image has no package python3, and the recipe no into")
		}
		place.Into = t.SitePackages()
	}
	modules, rest, err := w.spread(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	scripts, err := w.entryPoints(ctx)
	if err != nil {
		return nil, nil, err
	}
	installer := rootfs.NewFile(w.info+"/INSTALLER", 0o644, []byte("shudl-assemble\n"))
	modules = append(modules, installer)
	placed, dropped, err := archive.LayEntries(ctx, s, modules, archive.Options{Name: path.Base(a.Path), Placement: place, Platform: platform(t)})
	if err != nil {
		return nil, nil, err
	}
	for _, e := range append(rest, scripts...) {
		e.UID, e.GID = src.UID, src.GID
		placed = append(placed, e)
	}
	return placed, dropped, nil
}

// spread separates what lands beside the interpreter's modules from what the
// .data folder sends elsewhere.
func (w *wheel) spread(ctx context.Context, t Target) (modules, rest []rootfs.Entry, err error) {
	data := strings.TrimSuffix(w.info, ".dist-info") + ".data/"
	for _, e := range w.entries {
		if e.Path == w.info+"/INSTALLER" {
			return nil, nil, fmt.Errorf("it brings an INSTALLER of its own")
		}
		below, ok := strings.CutPrefix(e.Path, data)
		if !ok {
			if e.Path+"/" != data {
				modules = append(modules, e)
			}
			continue
		}
		scheme, name, _ := strings.Cut(below, "/")
		if name == "" || e.Type == rootfs.Directory && scheme != "purelib" && scheme != "platlib" {
			continue
		}
		switch scheme {
		case "purelib", "platlib":
			e.Path = name
			modules = append(modules, e)
			continue
		case "scripts":
			e, err = script(ctx, e, name)
		case "headers":
			e.Path = path.Join("usr/include/python"+t.Python, strings.SplitN(w.info, "-", 2)[0], name)
			e.Mode = 0o644
		case "data":
			e.Path = path.Join("usr", name)
			e.Mode = e.Mode & 0o777 &^ 0o022
		default:
			err = fmt.Errorf("%s: there is no place for %q", e.Path, scheme)
		}
		if err != nil {
			return nil, nil, err
		}
		rest = append(rest, e)
	}
	return modules, rest, nil
}

// script puts an executable of the wheel into usr/bin; one that begins with
// "#!python" names the interpreter that runs it.
func script(ctx context.Context, e rootfs.Entry, name string) (rootfs.Entry, error) {
	if !scriptName.MatchString(name) {
		return e, fmt.Errorf("%s is no name for a command", e.Path)
	}
	e.Path, e.Mode = "usr/bin/"+name, 0o755
	if e.Size > maxText {
		return e, nil // a binary
	}
	data, err := readEntry(ctx, e)
	if err != nil {
		return e, err
	}
	first, body, _ := bytes.Cut(data, []byte("\n"))
	if !bytes.HasPrefix(first, []byte("#!python")) {
		return e, nil
	}
	out := rootfs.NewFile(e.Path, 0o755, append([]byte(interpreter+"\n"), body...))
	out.ModTime = e.ModTime
	return out, nil
}

var (
	scriptName = recipes.NewPattern(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	object     = recipes.NewPattern(`^([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*):([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*)*)$`)
)

// entryPoints makes a command of each entry point (entry_points.txt of the
// PyPA specifications).
func (w *wheel) entryPoints(ctx context.Context) ([]rootfs.Entry, error) {
	name := w.info + "/entry_points.txt"
	for _, e := range w.entries {
		if e.Path != name {
			continue
		}
		data, err := readEntry(ctx, e)
		if err != nil {
			return nil, err
		}
		return parseEntryPoints(data)
	}
	return nil, nil
}

func parseEntryPoints(data []byte) ([]rootfs.Entry, error) {
	var out []rootfs.Entry
	section := ""
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
			continue
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			continue
		case section != "console_scripts" && section != "gui_scripts":
			continue
		}
		name, target, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		target, _, _ = strings.Cut(target, "[")
		m := object.FindStringSubmatch(strings.ReplaceAll(strings.TrimSpace(target), " ", ""))
		if !ok || m == nil || !scriptName.MatchString(name) {
			return nil, fmt.Errorf("entry point %q", line)
		}
		text := fmt.Sprintf("%s\nimport sys\nfrom %s import %s\nsys.exit(%s%s())\n", interpreter, m[1], m[2], m[2], m[3])
		out = append(out, rootfs.NewFile("usr/bin/"+name, 0o755, []byte(text)))
	}
	return out, nil
}
