package deb

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/archive"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// Limits of the control part, which is held in memory: entries, and bytes of
// all files together (md5sums of the largest packages are a few megabytes).
const (
	maxControlEntries = 256
	maxControlBytes   = 32 << 20
)

// controlFiles are the files of the control part that count.
type controlFiles struct {
	// Control is the control paragraph, byte for byte.
	Control []byte
	// MD5Sums is the package's own list of its files, byte for byte.
	MD5Sums []byte
	// Scripts are the maintainer scripts by name: preinst, postinst, prerm,
	// postrm, config.
	Scripts map[string]string
	// Triggers is the package's list of triggers.
	Triggers string
}

// controlRecord is the kind of the store's records from packages to their
// control parts. Whoever changes what controlFiles keeps raises
// controlVersion.
const (
	controlRecord  = "deb-control"
	controlVersion = "1 "
)

// controlOf reads the control part of a package, which is remembered: an image
// of which one file changed is laid out without a look into its packages.
func controlOf(ctx context.Context, s *fetch.Store, d recipes.Digest) (*controlFiles, error) {
	whole := func(c *controlFiles) bool { return c.Scripts != nil }
	return fetch.Remembered(s, controlRecord, controlVersion+string(d), whole, func() (*controlFiles, error) {
		f, err := s.Open(ctx, d)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		control, _, err := partsOf(f)
		if err != nil {
			return nil, err
		}
		c := &controlFiles{Scripts: map[string]string{}}
		if err := c.readControl(control); err != nil {
			return nil, fmt.Errorf("control part: %w", err)
		}
		return c, nil
	})
}

// readControl reads the control archive into memory.
func (c *controlFiles) readControl(m member) error {
	r, err := archive.ReaderLimit(m, archive.Limits{Total: maxControlBytes, File: maxControlBytes})
	if err != nil {
		return err
	}
	defer r.Close()
	left := int64(maxControlBytes)
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n == maxControlEntries {
			return fmt.Errorf("more than %d entries", maxControlEntries)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if h.Typeflag == tar.TypeDir && strings.Trim(name, "./") == "" {
			continue
		}
		if h.Typeflag != tar.TypeReg || strings.Contains(name, "/") || name == "" {
			return fmt.Errorf("entry %q is not a plain file", h.Name)
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("more than %d bytes", maxControlBytes)
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return err
		}
		c.keepControl(name, data)
	}
}

func (c *controlFiles) keepControl(name string, data []byte) {
	switch name {
	case "control":
		c.Control = data
	case "md5sums":
		c.MD5Sums = data
	case "preinst", "postinst", "prerm", "postrm", "config":
		c.Scripts[name] = string(data)
	case "triggers":
		c.Triggers = string(data)
	}
}
