package archive

import (
	"context"
	"fmt"
	"io"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// File makes an entry of a store object that lands as one file. Its SHA-1,
// which SPDX asks for, is computed once.
func File(ctx context.Context, s *fetch.Store, d recipes.Digest, path string) (rootfs.Entry, error) {
	size, ok := s.Has(d)
	if !ok {
		return rootfs.Entry{}, fmt.Errorf("%s: sha256 %s is not in the store", path, d)
	}
	e := rootfs.Entry{Path: path, Type: rootfs.Regular, Mode: 0o644, Size: size, SHA256: d, Content: Object(s, d)}
	if sum, ok := s.Record("sha1", string(d)); ok && len(sum) == 40 {
		e.SHA1 = string(sum)
		return e, nil
	}
	f, err := s.Open(ctx, d)
	if err != nil {
		return e, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	sums := newDigests()
	if _, err := io.Copy(sums, f); err != nil {
		return e, fmt.Errorf("%s: %w", path, err)
	}
	_, e.SHA1 = sums.sums()
	return e, s.SetRecord("sha1", string(d), []byte(e.SHA1))
}
