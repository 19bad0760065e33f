package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// object is a store object that many entries are sections of. Where the store
// no longer has it, it is made again, once for all of them.
type object struct {
	store  *fetch.Store
	digest recipes.Digest
	// remake puts the object back into the store; nil where only a download
	// can.
	remake func(context.Context) error
	mu     sync.Mutex
}

func (o *object) open(ctx context.Context) (*os.File, error) {
	f, err := o.store.Open(ctx, o.digest)
	if err == nil || o.remake == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if f, err := o.store.Open(ctx, o.digest); err == nil {
		return f, nil
	}
	if err := o.remake(ctx); err != nil {
		return nil, err
	}
	return o.store.Open(ctx, o.digest)
}

// section is the content of one entry: size bytes of an object from offset
// on, deflated where packed is not negative (RFC 1951).
type section struct {
	object *object
	name   string
	offset int64
	packed int64 // bytes in the object of a deflated section, else -1
	size   int64
	sha256 recipes.Digest
}

// Open streams the section and holds it to its sha256: the last Read of a
// section that differs is an error in place of io.EOF.
func (s *section) Open(ctx context.Context) (io.ReadCloser, error) {
	f, err := s.object.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("content of %s: %w", s.name, err)
	}
	v := &verified{name: s.name, file: f, hash: sha256.New(), want: s.sha256, left: s.size}
	if s.packed < 0 {
		v.r = io.NewSectionReader(f, s.offset, s.size)
		return v, nil
	}
	v.r = flate.NewReader(io.NewSectionReader(f, s.offset, s.packed))
	return v, nil
}

// verified reads exactly left bytes and compares their digest.
type verified struct {
	name string
	file *os.File
	r    io.Reader
	hash hash.Hash
	want recipes.Digest
	left int64
}

func (v *verified) Read(p []byte) (int, error) {
	if v.left == 0 {
		if got := hex.EncodeToString(v.hash.Sum(nil)); got != string(v.want) {
			return 0, fmt.Errorf("content of %s: sha256 %s in place of %s", v.name, got, v.want)
		}
		return 0, io.EOF
	}
	n, err := v.r.Read(p[:min(int64(len(p)), v.left)])
	v.hash.Write(p[:n])
	v.left -= int64(n)
	if err == io.EOF {
		err = nil
		if n == 0 && v.left > 0 {
			err = fmt.Errorf("content of %s: %w", v.name, io.ErrUnexpectedEOF)
		}
	}
	return n, err
}

func (v *verified) Close() error { return v.file.Close() }

// Object is the content of a file that is a store object of its own.
func Object(s *fetch.Store, d recipes.Digest) rootfs.Content { return whole{s, d} }

type whole struct {
	store  *fetch.Store
	digest recipes.Digest
}

// Open opens the object, which the store hashes before its first use.
func (w whole) Open(ctx context.Context) (io.ReadCloser, error) {
	return w.store.Open(ctx, w.digest)
}
