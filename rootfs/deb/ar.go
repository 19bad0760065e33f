package deb

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// member is one file of an ar archive.
type member struct {
	name string
	*io.SectionReader
}

// readAr lists the members of a .deb, which is an ar archive in the common
// format without long names (deb(5)). At most a handful of members is there.
func readAr(r io.ReaderAt, size int64) ([]member, error) {
	const magic, header, most = "!<arch>\n", 60, 16
	buf := make([]byte, header)
	if _, err := r.ReadAt(buf[:len(magic)], 0); err != nil || string(buf[:len(magic)]) != magic {
		return nil, errors.New("not a .deb: no ar archive")
	}
	var members []member
	for at := int64(len(magic)); at < size; {
		if len(members) == most {
			return nil, fmt.Errorf("not a .deb: more than %d ar members", most)
		}
		if _, err := r.ReadAt(buf, at); err != nil {
			return nil, fmt.Errorf("ar header at byte %d is cut short", at)
		}
		at += header
		if string(buf[58:]) != "`\n" {
			return nil, fmt.Errorf("ar header before byte %d is damaged", at)
		}
		n, err := strconv.ParseInt(strings.TrimRight(string(buf[48:58]), " "), 10, 64)
		if err != nil || n < 0 || n > size-at {
			return nil, fmt.Errorf("ar member at byte %d is cut short", at)
		}
		name := strings.TrimSuffix(strings.TrimRight(string(buf[:16]), " "), "/")
		members = append(members, member{name, io.NewSectionReader(r, at, n)})
		at += n + n&1
	}
	return members, nil
}

// parts finds the control and the data archive of a .deb of format 2.
func parts(members []member) (control, data member, err error) {
	var names []string
	var rest []member
	for _, m := range members {
		names = append(names, m.name)
		if !strings.HasPrefix(m.name, "_") { // deb(5): to be ignored
			rest = append(rest, m)
		}
	}
	if len(rest) != 3 || rest[0].name != "debian-binary" ||
		!tarName(rest[1].name, "control.tar") || !tarName(rest[2].name, "data.tar") {
		return control, data, fmt.Errorf("members are %q, not debian-binary, control.tar*, data.tar*", names)
	}
	version, err := io.ReadAll(io.LimitReader(rest[0], 64))
	if err != nil {
		return control, data, err
	}
	if !strings.HasPrefix(string(version), "2.") {
		return control, data, fmt.Errorf("format %q, not 2.x", strings.TrimSpace(string(version)))
	}
	return rest[1], rest[2], nil
}

func tarName(name, base string) bool {
	ext, ok := strings.CutPrefix(name, base)
	switch ext {
	case "", ".gz", ".xz", ".zst":
		return ok
	}
	return false
}
