package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/interrupt"
)

// partial is a file that is being downloaded. That of a known sha256 is kept
// when the download is cut, and the next run goes on with it.
type partial struct {
	store  *Store
	file   *os.File // nil once it was kept or discarded
	hash   hash.Hash
	size   int64
	lasts  bool // keep what is there when the download fails
	unlock func()
	early  writeback

	growing *growing // who reads it meanwhile; nil where nobody does
}

// partial opens the file of a download, with what is already there hashed.
// For a known sha256 one process at a time has it, and others wait.
func (s *Store) partial(ctx context.Context, r Request, p place) (*partial, error) {
	part := &partial{store: s, hash: sha256.New(), unlock: func() {}}
	if r.SHA256 == "" || p.file != "" {
		f, err := s.temporary("fetch-")
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		part.file = f
		return part, nil
	}
	unlock, err := s.Lock(ctx, "fetch "+string(r.SHA256))
	if err != nil {
		return nil, err
	}
	part.unlock, part.lasts = unlock, true
	if err := part.open(ctx, filepath.Join(s.dir, partialDir, string(r.SHA256)), r.limit()); err != nil {
		unlock()
		return nil, fmt.Errorf("store: %w", err)
	}
	return part, nil
}

func (p *partial) open(ctx context.Context, path string, limit int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrPermission) {
		// Another user's, from an earlier run.
		if err := os.Remove(path); err != nil {
			return err
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	p.file = f
	p.size, err = io.Copy(p.hash, interrupt.Reader(ctx, f))
	if err == nil && p.size > limit {
		err = p.reset()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// Write appends.
func (p *partial) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.hash.Write(b[:n])
	p.size += int64(n)
	p.early.wrote(p.file, p.size)
	p.growing.grow(p.size)
	return n, err
}

// reset empties the file.
func (p *partial) reset() error {
	if p.file == nil || p.size == 0 {
		return nil
	}
	p.growing.end(errAnew)
	p.hash.Reset()
	p.size = 0
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// keep makes an object of the file.
func (p *partial) keep(d recipes.Digest) error {
	f := p.file
	p.file = nil
	return p.store.adopt(f, d)
}

// discard removes the file.
func (p *partial) discard() {
	p.lasts = false
}

// close ends the use of the file: one that lasts stays for the next run.
func (p *partial) close() {
	if p.file != nil {
		if !p.lasts || p.size == 0 {
			os.Remove(p.file.Name())
		}
		p.file.Close()
		p.file = nil
	}
	p.unlock()
}

func (p *partial) digest() recipes.Digest {
	return recipes.Digest(hex.EncodeToString(p.hash.Sum(nil)))
}
