package layers

import (
	"path"
	"strings"
	"time"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs"
)

// Everything in this file changes the digest of every layer and image that
// was ever published. Whoever changes a line here, or the version of
// klauspost/compress in go.mod, raises Format, sets the new golden digests in
// format_test.go and says so in the release notes.

// Format is the version of the byte format of layers, which FORMAT.md
// describes: order, members, chunks, and which members get the cheap level.
// The lock carries it, so that a program with other rules refuses the lock
// rather than making other bytes of it.
const Format = 1

const (
	// chunkSize is how much of the tar stream one compressed frame holds at
	// most, in bytes. It bounds the memory of packing and lets one large
	// package use several cores.
	chunkSize = 8 << 20

	// Levels of gzip (RFC 1952): the usual one, and the one for members that
	// are compressed already, where more work gains nothing.
	gzipLevel      = 6
	gzipCheapLevel = 1

	// compressor is the module that makes the bytes.
	compressor = "github.com/klauspost/compress v1.20.3"

	// EncoderID names all of the encoder that the bytes of a layer depend on.
	// The lock carries it.
	EncoderID = compressor + " gzip:6,1 zstd:default,fastest chunk:8MiB"

	// EncoderGolden is the sha256 of the golden sample compressed in every
	// way that EncoderID names, one after the other.
	EncoderGolden recipes.Digest = "07c13191ac87e6f80a29ef9ab7e20cc7985592d195f7e7d5028b3b519c977c58"

	// gzipGolden and zstdGolden are those of its two halves.
	gzipGolden recipes.Digest = "e75003d2b0bb68aa83f4f4ab822bc5170efb0b0717bf12483cee6b3abcd18415"
	zstdGolden recipes.Digest = "5c0ed45d4beb5275e73d19dcf37d3d929e6a7df0bb1e0cb8199b29aa30ecfe36"
)

// plainTime is the time of whatever no archive dates, directories included.
var plainTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// cheap says whether more than half of the bytes of a member are files that
// are compressed already, so that the cheap level does as well. The rule knows
// nothing but the entries, so the lock need not say the level of each member:
// artefacts and Format decide it.
func cheap(entries []rootfs.Entry) bool {
	var total, packed int64
	for _, e := range entries {
		total += e.Size
		if isPacked(e.Path) {
			packed += e.Size
		}
	}
	return packed > total/2
}

// isPacked knows compressed files by their names.
func isPacked(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jar", ".war", ".zip", ".whl", ".egg", ".gz", ".tgz", ".xz", ".txz", ".zst", ".bz2", ".lz4", ".br", ".7z", ".png", ".jpg", ".woff2":
		return true
	}
	return false
}
