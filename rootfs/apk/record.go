package apk

import (
	"crypto/sha1" // apk's checksum of files
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// RecordedFile is one file or folder of an installed package.
type RecordedFile struct {
	Path   string
	Folder bool
	// Checksum is "Q1…" of a file's content or of a link's target.
	Checksum string
}

// Files lists a record's folders and files in its order.
func (r Record) Files() []RecordedFile {
	var list []RecordedFile
	folder := ""
	for line := range strings.Lines(r.Text) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) < 2 || line[1] != ':' {
			continue
		}
		value := line[2:]
		switch line[0] {
		case 'F':
			folder = value
			if folder != "" {
				list = append(list, RecordedFile{Path: folder, Folder: true})
			}
		case 'R':
			list = append(list, RecordedFile{Path: path.Join(folder, value)})
		case 'Z':
			if n := len(list); n > 0 && !list[n-1].Folder {
				list[n-1].Checksum = value
			}
		}
	}
	return list
}

// recordText writes a package's record as apk does after it installed it.
func recordText(c *Contents, holds func(rootfs.Entry) bool) (string, error) {
	var b strings.Builder
	p := c.Package
	line := func(key byte, value string) {
		if value != "" {
			b.WriteByte(key)
			b.WriteString(":" + value + "\n")
		}
	}
	line('C', p.Checksum)
	line('P', p.Name)
	line('V', p.Version)
	line('A', p.Arch)
	line('S', strconv.FormatInt(p.Size, 10))
	line('I', strconv.FormatInt(p.InstalledSize, 10))
	line('T', p.Description)
	line('U', p.URL)
	line('L', p.License)
	line('o', p.Origin)
	line('m', p.Maintainer)
	if !p.BuildTime.IsZero() {
		line('t', strconv.FormatInt(p.BuildTime.Unix(), 10))
	}
	line('c', p.Commit)
	if p.ProviderPriority != 0 {
		line('k', strconv.Itoa(p.ProviderPriority))
	}
	line('D', writeDependencies(p.Depends))
	line('p', writeDependencies(p.Provides))
	line('i', writeDependencies(p.InstallIf))
	line('r', writeDependencies(p.Replaces))
	if p.ReplacesPriority != 0 {
		line('q', strconv.Itoa(p.ReplacesPriority))
	}
	if err := recordFiles(&b, c.Entries, holds); err != nil {
		return "", err
	}
	return b.String(), nil
}

// recordFolder is a folder of a record and what lies in it.
type recordFolder struct {
	path  string
	entry *rootfs.Entry
	files []rootfs.Entry
}

func recordFiles(b *strings.Builder, entries []rootfs.Entry, holds func(rootfs.Entry) bool) error {
	var order []*recordFolder
	known := map[string]*recordFolder{}
	folder := func(p string) *recordFolder {
		if known[p] == nil {
			known[p] = &recordFolder{path: p}
			order = append(order, known[p])
		}
		return known[p]
	}
	sums := map[string]string{}
	for i, e := range entries {
		if strings.ContainsAny(e.Path, "\n\r") {
			return fmt.Errorf("%q cannot be recorded: its name has a line break", e.Path)
		}
		if e.Type == rootfs.Directory {
			folder(e.Path).entry = &entries[i]
			continue
		}
		sum, err := fileSum(e, sums)
		if err != nil {
			return err
		}
		sums[e.Path] = sum
		if !holds(e) {
			continue
		}
		dir := path.Dir(e.Path)
		if dir == "." {
			dir = ""
		}
		f := folder(dir)
		f.files = append(f.files, e)
	}
	for _, f := range order {
		b.WriteString("F:" + f.path + "\n")
		if f.entry != nil {
			writeRights(b, 'M', *f.entry, 0o755)
		}
		for _, e := range f.files {
			b.WriteString("R:" + path.Base(e.Path) + "\n")
			writeRights(b, 'a', e, 0o644)
			b.WriteString("Z:" + sums[e.Path] + "\n")
		}
	}
	return nil
}

// fileSum is the checksum that apk records: of a file's content, of a link's
// target; a hard link has its file's.
func fileSum(e rootfs.Entry, sums map[string]string) (string, error) {
	switch e.Type {
	case rootfs.Symlink:
		sum := sha1.Sum([]byte(e.Link))
		return writeQ1(sum[:]), nil
	case rootfs.Hardlink:
		if sum, ok := sums[e.Link]; ok {
			return sum, nil
		}
		return "", fmt.Errorf("%s is a hard link to %s, which does not come before it", e.Path, e.Link)
	}
	raw, err := hex.DecodeString(e.SHA1)
	if err != nil || len(raw) != sha1.Size {
		return "", fmt.Errorf("%s has no SHA-1", e.Path)
	}
	return writeQ1(raw), nil
}

// writeRights records owner and mode where they are not the usual ones.
func writeRights(b *strings.Builder, key byte, e rootfs.Entry, usual uint32) {
	if e.UID != 0 || e.GID != 0 || e.Mode&0o7777 != usual {
		fmt.Fprintf(b, "%c:%d:%d:%o\n", key, e.UID, e.GID, e.Mode&0o7777)
	}
}
