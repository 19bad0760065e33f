package sbom

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/spdx/tools-golang/spdx/v2/common"
)

// Files and what relates to them are most of a document, and are written here
// by hand: it takes a tenth of the time. A test holds the result to what the
// library writes.

// fileID is the identifier of a file in a document.
func fileID(path string) common.ElementID { return common.ElementID("File-" + fingerprint(path)) }

// appendFile writes a file as an element of a document.
func appendFile(b []byte, p *Path) []byte {
	b = append(b, `{"fileName":`...)
	b = appendText(b, "./"+p.Path)
	b = append(b, `,"SPDXID":"SPDXRef-`...)
	b = append(b, p.ID...)
	b = append(b, `","checksums":[{"algorithm":"SHA1","checksumValue":"`...)
	b = append(b, p.SHA1...)
	b = append(b, `"},{"algorithm":"SHA256","checksumValue":"`...)
	b = append(b, p.SHA256...)
	return append(b, `"}],"licenseConcluded":"NOASSERTION","licenseInfoInFiles":["NOASSERTION"],"copyrightText":"NOASSERTION"}`...)
}

// appendRelation writes a relationship between two elements.
func appendRelation(b []byte, from common.ElementID, relationship string, to common.ElementID, comment string) []byte {
	b = append(b, `{"spdxElementId":"SPDXRef-`...)
	b = append(b, from...)
	b = append(b, `","relatedSpdxElement":"SPDXRef-`...)
	b = append(b, to...)
	b = append(b, `","relationshipType":"`...)
	b = append(b, relationship...)
	b = append(b, '"')
	if comment != "" {
		b = append(b, `,"comment":`...)
		b = appendText(b, comment)
	}
	return append(b, '}')
}

// appendText writes a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			var buf bytes.Buffer
			enc := json.NewEncoder(&buf)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(s) // a string has a JSON form
			return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// verificationCode is that of SPDX 2.3, clause 7.9: the SHA-1 of the files'
// SHA-1s, sorted and joined.
func verificationCode(files []*Path) *common.PackageVerificationCode {
	sums := make([]string, 0, len(files))
	for _, f := range files {
		sums = append(sums, f.SHA1)
	}
	slices.Sort(sums)
	h := sha1.New()
	for _, sum := range sums {
		h.Write([]byte(sum))
	}
	return &common.PackageVerificationCode{Value: hex.EncodeToString(h.Sum(nil))}
}

// fingerprint is a short name for a string, in characters that SPDX
// identifiers may have.
func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}
