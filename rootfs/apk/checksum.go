package apk

import (
	"crypto/sha1" // Alpine's index format; the lock's SHA-256 stands above it
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// ControlSum decodes the package's checksum: the SHA-1 of its control
// segment.
func (p *Package) ControlSum() ([sha1.Size]byte, error) {
	return parseQ1(p.Checksum)
}

// parseQ1 reads apk's textual SHA-1: "Q1" and base64, or forty hexadecimal
// digits. An absent one is an error.
func parseQ1(s string) ([sha1.Size]byte, error) {
	var sum [sha1.Size]byte
	var raw []byte
	var err error
	switch {
	case s == "":
		return sum, fmt.Errorf("checksum is missing")
	case strings.HasPrefix(s, "Q1"):
		raw, err = base64.StdEncoding.DecodeString(s[2:])
	case len(s) == 2*sha1.Size:
		raw, err = hex.DecodeString(s)
	default:
		err = fmt.Errorf("unknown form")
	}
	if err != nil || len(raw) != sha1.Size {
		return sum, fmt.Errorf("%q is no SHA-1 checksum of apk's", cut(s))
	}
	copy(sum[:], raw)
	return sum, nil
}

// writeQ1 is apk's textual form of a SHA-1.
func writeQ1(sum []byte) string {
	return "Q1" + base64.StdEncoding.EncodeToString(sum)
}
