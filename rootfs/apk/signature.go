package apk

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // what apk 2 signs with; the key decides, and the lock pins SHA-256
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

// signature is one signature of a signature segment.
type signature struct {
	key   string // the key's file name
	hash  crypto.Hash
	bytes []byte
}

// Names of a signature's file before the name of its key. Others (DSA) are
// not for RSA keys and are passed over.
const (
	signSHA1   = ".SIGN.RSA."
	signSHA256 = ".SIGN.RSA256."
	signAny    = ".SIGN."
)

// maxIndex bounds what an index may expand to; the largest real one has 6 MB.
const maxIndex = 512 << 20

// signatures reads a signature segment. One without any is no such segment.
func signatures(list []small) ([]signature, error) {
	var found []signature
	for _, f := range list {
		switch {
		case strings.HasPrefix(f.name, signSHA1):
			found = append(found, signature{f.name[len(signSHA1):], crypto.SHA1, f.data})
		case strings.HasPrefix(f.name, signSHA256):
			found = append(found, signature{f.name[len(signSHA256):], crypto.SHA256, f.data})
		case strings.HasPrefix(f.name, signAny):
		default:
			return nil, fmt.Errorf("%q stands in the signature segment", cut(f.name))
		}
	}
	return found, nil
}

// SignatureError says why the signature of an index does not count.
type SignatureError struct {
	// Signers are the key files that signed.
	Signers []string
	Reason  string
}

// Error names the signers and what to do.
func (e *SignatureError) Error() string {
	signers := "nobody"
	if len(e.Signers) > 0 {
		signers = strings.Join(e.Signers, ", ")
	}
	return fmt.Sprintf("index signature: %s (signed by %s); a mirror of your own needs its public key in --keyring", e.Reason, signers)
}

// signedIndex is an index file whose signature holds.
type signedIndex struct {
	description string
	text        []byte
	date        time.Time // when Alpine made it
}

// readSigned checks the signature of an APKINDEX.tar.gz with the keys that
// count.
func readSigned(r io.Reader, keys []Key) (*signedIndex, error) {
	s, err := newSegments(r)
	if err != nil {
		return nil, err
	}
	segment, err := s.next()
	if err != nil {
		return nil, err
	}
	list, err := files(segment)
	if err != nil {
		return nil, fmt.Errorf("signature segment: %w", err)
	}
	if len(list) == 0 || !strings.HasPrefix(list[0].name, signAny) {
		return nil, &SignatureError{Reason: "the index is not signed"}
	}
	found, err := signatures(list)
	if err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(s.raw.r)
	if err != nil {
		return nil, err
	}
	if err := verify(found, rest, keys); err != nil {
		return nil, err
	}
	return indexParts(rest)
}

// verify wants one good signature by a key that counts.
func verify(found []signature, signed []byte, keys []Key) error {
	failure := &SignatureError{Reason: "none of these keys is known, or its fingerprint is not Alpine's"}
	for _, s := range found {
		failure.Signers = append(failure.Signers, s.key)
		for _, k := range keys {
			if k.Name != s.key {
				continue
			}
			if err := rsa.VerifyPKCS1v15(k.Public, s.hash, digest(s.hash, signed), s.bytes); err == nil {
				return nil
			}
			failure.Reason = "the index was changed after it was signed, or another key signed it"
		}
	}
	if len(found) == 0 {
		failure.Reason = "there is no RSA signature"
	}
	return failure
}

func digest(kind crypto.Hash, data []byte) []byte {
	var h hash.Hash = sha1.New()
	if kind == crypto.SHA256 {
		h = sha256.New()
	}
	h.Write(data)
	return h.Sum(nil)
}

// indexParts takes DESCRIPTION and APKINDEX out of the signed segment.
func indexParts(rest []byte) (*signedIndex, error) {
	s, err := newSegments(bytes.NewReader(rest))
	if err != nil {
		return nil, fmt.Errorf("index segment: %w", err)
	}
	segment, err := s.next()
	if err != nil {
		return nil, fmt.Errorf("index segment: %w", err)
	}
	limited := &io.LimitedReader{R: segment, N: maxIndex + 1}
	index, err := readIndexTar(limited)
	if err != nil {
		return nil, fmt.Errorf("index segment: %w", noEOF(err))
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("index expands to more than %d bytes", maxIndex)
	}
	if _, err := s.raw.r.Peek(1); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes follow the index segment")
	}
	return index, nil
}

func readIndexTar(r io.Reader) (*signedIndex, error) {
	var index signedIndex
	stream := tar.NewReader(r)
	for {
		header, err := stream.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(stream)
		if err != nil {
			return nil, err
		}
		switch header.Name {
		case "DESCRIPTION":
			index.description = strings.TrimSpace(string(data))
		case "APKINDEX":
			index.text, index.date = data, header.ModTime.UTC()
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	if index.text == nil {
		return nil, errors.New("there is no APKINDEX in it")
	}
	return &index, nil
}
