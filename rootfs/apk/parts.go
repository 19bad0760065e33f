package apk

import (
	"context"
	"crypto/sha1" // apk's own link between index and package
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/fetch"
)

// parts is where the segments of a package file are, and what they hold.
type parts struct {
	// Control are the files of the control segment.
	Control []Script
	// SHA1 is of the control segment's compressed bytes.
	SHA1 [sha1.Size]byte
	// Data is the offset of the data segment and SHA256 its digest.
	Data   int64
	SHA256 string
}

// partsRecord is the kind of the store's records from packages to their parts.
// Whoever changes what parts keeps raises partsVersion.
const (
	partsRecord  = "apk-parts"
	partsVersion = "1 "
)

// partsOf finds the segments of a package in the store, which is remembered:
// an image of which one file changed is laid out without a look into its
// packages. What lock and index say of them is held against it every time.
func partsOf(ctx context.Context, s *fetch.Store, d recipes.Digest) (*parts, error) {
	whole := func(p *parts) bool { return p.Data > 0 }
	return fetch.Remembered(s, partsRecord, partsVersion+string(d), whole, func() (*parts, error) {
		file, err := s.Open(ctx, d)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return split(file)
	})
}

// split reads a package file once and finds its segments. The file is not
// expanded beyond its control segment.
func split(file io.ReadSeeker) (*parts, error) {
	s, err := newSegments(file)
	if err != nil {
		return nil, err
	}
	p := &parts{}
	for i := 0; ; i++ {
		sum := sha1.New()
		segment, err := s.next(sum)
		if err != nil {
			return nil, err
		}
		list, err := files(segment)
		if err != nil {
			return nil, fmt.Errorf("control segment: %w", err)
		}
		if i == 0 && len(list) > 0 && strings.HasPrefix(list[0].name, signAny) {
			if _, err := signatures(list); err != nil {
				return nil, err
			}
			continue
		}
		for _, f := range list {
			p.Control = append(p.Control, Script{f.name, f.data, f.ModTime.Unix()})
		}
		copy(p.SHA1[:], sum.Sum(nil))
		break
	}
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	p.Data = at - int64(s.raw.r.Buffered())
	sum := sha256.New()
	n, err := io.Copy(sum, s.raw.r)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("the file ends before the data segment: %w", io.ErrUnexpectedEOF)
	}
	p.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return p, nil
}
