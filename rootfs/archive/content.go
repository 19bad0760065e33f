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
// section that differs is an error in place of io.EOF. What the store has
// hashed in this process is not hashed again, as long as nobody touched it.
func (s *section) Open(ctx context.Context) (io.ReadCloser, error) {
	f, err := s.object.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("content of %s: %w", s.name, err)
	}
	return s.of(f), nil
}

// of reads the section of the open object.
func (s *section) of(f *os.File) *verified {
	v := &verified{section: s, file: f, r: s.reader(f), left: s.size}
	if !v.untouched() {
		v.hash = sha256.New()
	}
	return v
}

// Holds is the sha256 that Open holds the bytes to.
func (s *section) Holds() recipes.Digest { return s.sha256 }

func (s *section) reader(f io.ReaderAt) io.Reader {
	if s.packed < 0 {
		return io.NewSectionReader(f, s.offset, s.size)
	}
	return flate.NewReader(io.NewSectionReader(f, s.offset, s.packed))
}

// verified reads exactly left bytes, whose digest it knows or compares.
type verified struct {
	section *section
	file    *os.File
	r       io.Reader
	left    int64
	hash    hash.Hash // nil where the object's own digest does
}

func (v *verified) untouched() bool {
	return v.section.object.store.Unchanged(v.file, v.section.object.digest)
}

func (v *verified) Read(p []byte) (int, error) {
	if v.left == 0 {
		return 0, v.end()
	}
	n, err := v.r.Read(p[:min(int64(len(p)), v.left)])
	if v.hash != nil {
		v.hash.Write(p[:n])
	}
	v.left -= int64(n)
	if err == io.EOF {
		err = nil
		if n == 0 && v.left > 0 {
			err = fmt.Errorf("content of %s: %w", v.section.name, io.ErrUnexpectedEOF)
		}
	}
	return n, err
}

// end is io.EOF where the bytes were those of the digest. An object that was
// touched while it was read, be it by another name that it got, is read again.
func (v *verified) end() error {
	if v.hash == nil {
		if v.untouched() {
			return io.EOF
		}
		v.hash = sha256.New()
		if _, err := io.Copy(v.hash, io.LimitReader(v.section.reader(v.file), v.section.size)); err != nil {
			return fmt.Errorf("content of %s: %w", v.section.name, err)
		}
	}
	if got := hex.EncodeToString(v.hash.Sum(nil)); got != string(v.section.sha256) {
		return fmt.Errorf("content of %s: sha256 %s in place of %s", v.section.name, got, v.section.sha256)
	}
	return io.EOF
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
	f, err := w.store.Open(ctx, w.digest)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return (&section{object: &object{store: w.store, digest: w.digest}, name: "object " + string(w.digest),
		packed: -1, size: info.Size(), sha256: w.digest}).of(f), nil
}

// Holds is the object's digest.
func (w whole) Holds() recipes.Digest { return w.digest }
