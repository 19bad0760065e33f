package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxWindow is the largest dictionary or window, in bytes, that a stream may
// ask for: what xz -9 and zstd --ultra -22 --long=27 use.
const maxWindow = 128 << 20

// Reader undoes gzip (RFC 1952), xz or zstd (RFC 8878), told apart by their
// first bytes; anything else passes as it is. Truncated and corrupt streams
// are errors, and so is output out of all proportion to the input.
func Reader(r io.Reader) (io.ReadCloser, error) { return ReaderLimit(r, Limits{}) }

// ReaderLimit is Reader with limits of one's own, of which Ratio counts.
func ReaderLimit(r io.Reader, lim Limits) (io.ReadCloser, error) {
	in := &counter{r: r}
	buffered := bufio.NewReaderSize(in, 128<<10)
	magic, err := buffered.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	out := &inflated{in: in, lim: lim.withDefaults()}
	switch kindOf(magic) {
	case "gzip":
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		out.name, out.r, out.close = "gzip", z, z.Close
	case "xz":
		z, err := xz.NewReader(buffered, maxWindow)
		if err != nil {
			return nil, fmt.Errorf("xz: %w", err)
		}
		out.name, out.r = "xz", z
	case "zstd":
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		out.name, out.r, out.close = "zstd", z, func() error { z.Close(); return nil }
	case "bzip2":
		return nil, errors.New("bzip2 is not supported; gzip, xz and zstd are")
	default:
		return io.NopCloser(buffered), nil
	}
	return out, nil
}

// kindOf names the compression or container that begins with magic.
func kindOf(magic []byte) string {
	for kind, prefix := range map[string]string{
		"gzip": "\x1f\x8b", "xz": "\xfd7zXZ\x00", "zstd": "\x28\xb5\x2f\xfd", "bzip2": "BZh", "zip": "PK\x03\x04", "empty zip": "PK\x05\x06",
	} {
		if bytes.HasPrefix(magic, []byte(prefix)) {
			return kind
		}
	}
	return ""
}

// inflated is a decompressed stream that holds its ratio.
type inflated struct {
	name  string
	in    *counter
	r     io.Reader
	close func() error
	lim   Limits
	n     int64
}

func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.n += int64(n)
	if rerr := i.lim.ratio(i.name+" stream", i.in.n, i.n); rerr != nil {
		return 0, rerr
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: %w", i.name, err)
	}
	return n, err
}

func (i *inflated) Close() error {
	if i.close == nil {
		return nil
	}
	return i.close()
}
