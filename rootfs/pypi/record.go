package pypi

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// recorded is a line of a wheel's RECORD.
type recorded struct {
	sha256 recipes.Digest // empty for RECORD itself and its signatures
	size   int64          // -1 where the line has none
}

// parseRecord reads a RECORD (PEP 376, PEP 427): path, hash, size. Every file
// but the record itself and its signatures has a sha256.
func parseRecord(r io.Reader, folder string) (map[string]recorded, error) {
	lines := csv.NewReader(r)
	lines.FieldsPerRecord = 3
	out := map[string]recorded{}
	for {
		f, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("RECORD: %w", err)
		}
		name := f[0]
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("RECORD lists %q twice", name)
		}
		line, err := parseLine(f[1], f[2])
		if err != nil {
			return nil, fmt.Errorf("RECORD: %q: %w", name, err)
		}
		if line.sha256 == "" && !unhashed(name, folder) {
			return nil, fmt.Errorf("RECORD has no hash of %q", name)
		}
		out[name] = line
	}
}

func parseLine(hash, size string) (recorded, error) {
	line := recorded{size: -1}
	if size != "" {
		n, err := strconv.ParseInt(size, 10, 63)
		if err != nil || n < 0 {
			return line, fmt.Errorf("size %q", size)
		}
		line.size = n
	}
	if hash == "" {
		return line, nil
	}
	text, ok := strings.CutPrefix(hash, "sha256=")
	if !ok {
		return line, fmt.Errorf("hash %q is not a sha256", hash)
	}
	sum, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(sum) != 32 {
		return line, fmt.Errorf("hash %q is not a sha256 in base64", hash)
	}
	line.sha256 = recipes.Digest(hex.EncodeToString(sum))
	return line, nil
}

// unhashed says which files cannot be in the record they are part of.
func unhashed(name, folder string) bool {
	return name == folder+"/RECORD" || name == folder+"/RECORD.jws" || name == folder+"/RECORD.p7s"
}

// holdToRecord compares the files of a wheel with its RECORD, both ways.
// Installers commonly do not; a file that the record does not list, or lists
// with another hash, was put there by somebody else than the wheel's builder.
func holdToRecord(entries []rootfs.Entry, record map[string]recorded, folder string) error {
	files := map[string]bool{}
	for _, e := range entries {
		if e.Type == rootfs.Directory {
			continue
		}
		if e.Type != rootfs.Regular {
			return fmt.Errorf("%s is a link, which wheels do not hold", e.Path)
		}
		files[e.Path] = true
		line, ok := record[e.Path]
		switch {
		case !ok && unhashed(e.Path, folder):
		case !ok:
			return fmt.Errorf("%s is not in RECORD", e.Path)
		case line.sha256 != "" && line.sha256 != e.SHA256:
			return fmt.Errorf("%s has sha256 %s, RECORD says %s", e.Path, e.SHA256, line.sha256)
		case line.size >= 0 && line.size != e.Size:
			return fmt.Errorf("%s has %d bytes, RECORD says %d", e.Path, e.Size, line.size)
		}
	}
	for name := range record {
		if !files[name] {
			return fmt.Errorf("RECORD lists %q, which is not in the wheel", name)
		}
	}
	return nil
}
