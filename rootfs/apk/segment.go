package apk

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
)

// An APKINDEX.tar.gz and an .apk of version 2 are gzip members one after the
// other, each with a piece of a tar stream: the signature, then what is
// signed (an index, or a package's control segment), then a package's data.
// Digests and signatures are of the compressed bytes of a segment.

// ErrADB says that a file is in the format of apk 3, which Alpine's
// repositories do not use (yet).
var ErrADB = errors.New("this is a file in apk 3's ADB format, which is not supported: only version 2 packages and indexes are")

// maxSegment bounds what a signature or control segment may expand to.
const maxSegment = 16 << 20

// segments reads gzip members one by one and sees their compressed bytes.
type segments struct {
	raw  *tap
	gzip *gzip.Reader
}

// tap passes bytes on and shows each to the sinks, once consumed. It is an
// io.ByteReader so that the decompressor takes no byte more than it needs.
type tap struct {
	r     *bufio.Reader
	sinks []hash.Hash
	one   [1]byte
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	for _, s := range t.sinks {
		s.Write(p[:n])
	}
	return n, err
}

func (t *tap) ReadByte() (byte, error) {
	b, err := t.r.ReadByte()
	if err == nil {
		t.one[0] = b
		for _, s := range t.sinks {
			s.Write(t.one[:])
		}
	}
	return b, err
}

// newSegments looks at the magic first.
func newSegments(r io.Reader) (*segments, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	magic, err := buffered.Peek(3)
	switch {
	case err != nil:
		return nil, fmt.Errorf("file is too short: %w", noEOF(err))
	case string(magic) == "ADB":
		return nil, ErrADB
	case magic[0] != 0x1f || magic[1] != 0x8b:
		return nil, errors.New("file does not begin with a gzip stream")
	}
	return &segments{raw: &tap{r: buffered}}, nil
}

// next opens the next member; its compressed bytes go to the sinks too. The
// whole of it must be read before the next call.
func (s *segments) next(sinks ...hash.Hash) (io.Reader, error) {
	s.raw.sinks = sinks
	if s.gzip == nil {
		reader, err := gzip.NewReader(s.raw)
		if err != nil {
			return nil, fmt.Errorf("gzip stream: %w", noEOF(err))
		}
		s.gzip = reader
	} else if err := s.gzip.Reset(s.raw); err != nil {
		return nil, fmt.Errorf("gzip stream: %w", noEOF(err))
	}
	s.gzip.Multistream(false)
	return s.gzip, nil
}

// small is a file of a signature or control segment.
type small struct {
	name string
	data []byte
	tar.Header
}

// files reads a segment whole: a tar stream with or without its end.
func files(r io.Reader) ([]small, error) {
	limited := &io.LimitedReader{R: r, N: maxSegment + 1}
	stream := tar.NewReader(limited)
	var list []small
	for {
		header, err := stream.Next()
		if limited.N <= 0 {
			return nil, fmt.Errorf("segment expands to more than %d bytes", maxSegment)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("tar stream: %w", noEOF(err))
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(stream)
		if err != nil {
			return nil, fmt.Errorf("tar stream: %s: %w", header.Name, noEOF(err))
		}
		list = append(list, small{header.Name, data, *header})
	}
	// What follows the last entry belongs to the segment all the same.
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return nil, fmt.Errorf("gzip stream: %w", noEOF(err))
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("segment expands to more than %d bytes", maxSegment)
	}
	return list, nil
}

// noEOF makes the end of a file in the middle of things an error.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
