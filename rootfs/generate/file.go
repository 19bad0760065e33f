package generate

import (
	"bytes"
	"context"

	"github.com/shudl/shudl-assemble/rootfs"
)

// File makes a state file of bytes. These are kept in the store too, so that
// a child image can read what its parent generated without building it again.
func (in Input) File(ctx context.Context, path string, mode uint32, data []byte) (rootfs.Entry, error) {
	e := rootfs.NewFile(path, mode, data)
	e.Owner, e.State = in.Owner, true
	w, err := in.Store.Create(ctx)
	if err != nil {
		return rootfs.Entry{}, err
	}
	defer w.Abort()
	if _, err := bytes.NewReader(data).WriteTo(w); err != nil {
		return rootfs.Entry{}, err
	}
	_, _, err = w.Commit(e.SHA256)
	return e, err
}

// Link makes a symbolic link of the state layer.
func (in Input) Link(path, target string) rootfs.Entry {
	return rootfs.Entry{Path: path, Type: rootfs.Symlink, Mode: 0o777, Link: target, Owner: in.Owner, State: true}
}
