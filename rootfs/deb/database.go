package deb

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/shudl/shudl-assemble/rootfs"
)

// databaseFolder is where images without dpkg keep one control paragraph per
// package, so that scanners find them.
const databaseFolder = "var/lib/dpkg/status.d"

// Database records packages in var/lib/dpkg/status.d: for each its control
// paragraph, with the state that dpkg would give it, and its md5sums.
func Database(pkgs []*Contents) ([]rootfs.Entry, error) {
	var out []rootfs.Entry
	seen := map[string]bool{}
	for _, c := range pkgs {
		if seen[c.Name] {
			return nil, fmt.Errorf("package %s is there twice", c.Name)
		}
		seen[c.Name] = true
		out = append(out, c.record(c.Name, withStatus(c.Control)))
		if len(c.MD5Sums) > 0 {
			out = append(out, c.record(c.Name+".md5sums", c.MD5Sums))
		}
	}
	slices.SortFunc(out, func(a, b rootfs.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func (c *Contents) record(name string, data []byte) rootfs.Entry {
	e := rootfs.NewFile(databaseFolder+"/"+name, 0o644, data)
	e.Owner, e.State = c.Artifact.PURL, true
	return e
}

// withStatus adds dpkg's state after the first field, where dpkg writes it.
func withStatus(control []byte) []byte {
	text := append(bytes.TrimRight(control, "\n"), '\n')
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	return bytes.Join([][]byte{first, []byte("Status: install ok installed"), rest}, []byte("\n"))
}
