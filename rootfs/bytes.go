package rootfs

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/shudl/shudl-assemble/recipes"
)

// Bytes is content held in memory: a recipe's file, a generated one.
type Bytes []byte

// Open reads the bytes from their beginning.
func (b Bytes) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b)), nil
}

// NewFile makes a regular file of bytes, owned by root, with both digests.
// The caller sets the owner.
func NewFile(path string, mode uint32, data []byte) Entry {
	s256, s1 := sha256.Sum256(data), sha1.Sum(data)
	return Entry{
		Path:    path,
		Type:    Regular,
		Mode:    mode,
		Size:    int64(len(data)),
		SHA256:  recipes.Digest(hex.EncodeToString(s256[:])),
		SHA1:    hex.EncodeToString(s1[:]),
		Content: Bytes(data),
	}
}
