package sbom

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// A fragment is kept as one line of JSON and then its paths, each field of
// which ends in a NUL: no path has one. Reading that takes a twentieth of the
// time that JSON takes.

// Encode writes the fragment for DecodeFragment.
func (f *Fragment) Encode() ([]byte, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	data = append(data, '\n')
	for i := range f.Paths {
		p := &f.Paths[i]
		data = append(data, byte(p.Type))
		data = strconv.AppendInt(data, int64(p.Owner), 10)
		fields := []string{"", p.Path}
		switch p.Type {
		case rootfs.Symlink:
			fields = append(fields, p.Link)
		case rootfs.Regular:
			fields = append(fields, string(p.ID), p.SHA1, string(p.SHA256))
		}
		for _, field := range fields[1:] {
			if strings.ContainsRune(field, 0) {
				return nil, fmt.Errorf("%q has a NUL", field)
			}
		}
		data = append(data, strings.Join(fields, "\x00")...)
		data = append(data, 0)
	}
	return data, nil
}

// errDamaged says that a kept fragment is not what was kept.
var errDamaged = errors.New("a kept fragment of an SBOM is damaged")

// DecodeFragment reads a fragment that was kept.
func DecodeFragment(data []byte) (*Fragment, error) {
	head, rest, ok := strings.Cut(string(data), "\n")
	f := new(Fragment)
	if err := json.Unmarshal([]byte(head), f); err != nil || !ok {
		return nil, errDamaged
	}
	f.Paths = make([]Path, 0, len(rest)/64)
	field := func() string {
		value, after, ok := strings.Cut(rest, "\x00")
		if !ok {
			value, after = "", "\x00"
		}
		rest = after
		return value
	}
	for rest != "" {
		head := field()
		if len(head) < 2 {
			return nil, errDamaged
		}
		owner, err := strconv.Atoi(head[1:])
		if err != nil || owner < 0 || owner >= len(f.Owners) {
			return nil, errDamaged
		}
		p := Path{Type: rootfs.Type(head[0]), Owner: owner, Path: field()}
		switch p.Type {
		case rootfs.Directory:
		case rootfs.Symlink:
			p.Link = field()
		case rootfs.Regular:
			p.ID, p.SHA1, p.SHA256 = common.ElementID(field()), field(), recipes.Digest(field())
		default:
			return nil, errDamaged
		}
		f.Paths = append(f.Paths, p)
	}
	return f, nil
}
