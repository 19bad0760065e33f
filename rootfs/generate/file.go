package generate

import "github.com/shudl/shudl-assemble/rootfs"

// File makes a file of the state layer.
func (in Input) File(path string, mode uint32, data []byte) rootfs.Entry {
	e := rootfs.NewFile(path, mode, data)
	e.Owner, e.State = in.Owner, true
	return e
}

// Link makes a symbolic link of the state layer.
func (in Input) Link(path, target string) rootfs.Entry {
	return rootfs.Entry{Path: path, Type: rootfs.Symlink, Mode: 0o777, Link: target, Owner: in.Owner, State: true}
}
