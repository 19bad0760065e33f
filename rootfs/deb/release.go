package deb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/shudl/shudl-assemble/recipes"
)

// Release is what a verified InRelease file says of a suite.
type Release struct {
	Suite, Codename string
	Version         string // 13.8; empty for suites that are no release
	Date            time.Time
	ValidUntil      time.Time // zero where the file sets none
	// Files are the index files by their path below the suite's folder.
	Files map[string]ReleaseFile
	// SignedBy is the fingerprint of the primary key that signed.
	SignedBy string
}

// ReleaseFile is the size and sha256 of an index file.
type ReleaseFile struct {
	SHA256 recipes.Digest
	Size   int64
}

// ErrUnsigned says that a file carries no OpenPGP clear signature, or
// something beside it.
var ErrUnsigned = errors.New("not an OpenPGP clear-signed file")

// ErrExpired says that a Release file's Valid-Until has passed: the mirror is
// stale, or somebody replays an old state of it.
var ErrExpired = errors.New("expired")

// ReleaseCheck says what a Release file is held to.
type ReleaseCheck struct {
	Keyring Keyring
	// Suite is the wanted suite or codename.
	Suite string
	Now   time.Time
	// Snapshot marks an archive of the past: Valid-Until is not held there,
	// and a key may have expired since.
	Snapshot bool
}

// ReadInRelease verifies an InRelease file and reads what was signed, and
// nothing else.
func ReadInRelease(data []byte, c ReleaseCheck) (*Release, error) {
	text, signer, err := verifyClearsigned(data, c)
	if err != nil {
		return nil, err
	}
	r, err := parseRelease(text)
	if err != nil {
		return nil, err
	}
	r.SignedBy = signer
	return r, r.check(c)
}

// verifyClearsigned returns the signed text and the signer's primary key.
func verifyClearsigned(data []byte, c ReleaseCheck) ([]byte, string, error) {
	if !bytes.HasPrefix(data, []byte("-----BEGIN PGP SIGNED MESSAGE-----")) {
		return nil, "", ErrUnsigned
	}
	block, rest := clearsign.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		return nil, "", ErrUnsigned
	}
	if len(c.Keyring.keys) == 0 {
		return nil, "", errors.New("no public key to check the signature with: give --keyring DIR, or install debian-archive-keyring")
	}
	conf := &packet.Config{Time: func() time.Time { return c.Now }}
	e, err := openpgp.CheckDetachedSignature(c.Keyring.keys, bytes.NewReader(block.Bytes), block.ArmoredSignature.Body, conf)
	if c.Snapshot && errors.Is(err, pgperrors.ErrKeyExpired) && e != nil {
		err = nil
	}
	if errors.Is(err, pgperrors.ErrUnknownIssuer) {
		return nil, "", fmt.Errorf("signed by none of the known keys %s: %w", strings.Join(c.Keyring.Fingerprints(), ", "), err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("signature: %w", err)
	}
	return block.Plaintext, fingerprint(e), nil
}

// parseRelease reads the one paragraph of a Release file.
func parseRelease(text []byte) (*Release, error) {
	c := newControlReader(bytes.NewReader(text))
	p, err := c.next()
	if err != nil {
		return nil, fmt.Errorf("no paragraph: %w", err)
	}
	if _, err := c.next(); err != io.EOF {
		return nil, errors.New("more than one paragraph")
	}
	r := &Release{
		Suite: p.get("Suite"), Codename: p.get("Codename"), Version: p.get("Version"),
	}
	if r.Date, err = parseDate(p.get("Date")); err != nil {
		return nil, fmt.Errorf("field Date: %w", err)
	}
	if v := p.get("Valid-Until"); v != "" {
		if r.ValidUntil, err = parseDate(v); err != nil {
			return nil, fmt.Errorf("Valid-Until: %w", err)
		}
	}
	if r.Files, err = parseSums(p.get("SHA256")); err != nil {
		return nil, fmt.Errorf("SHA256: %w", err)
	}
	return r, nil
}

// parseDate reads the RFC 2822 date of a Release file, whose zone is UTC.
func parseDate(s string) (time.Time, error) {
	for _, layout := range []string{"Mon, _2 Jan 2006 15:04:05 MST", "Mon, _2 Jan 2006 15:04:05 -0700"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if name, offset := t.Zone(); offset == 0 && (name == "UTC" || name == "GMT" || name == "") {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date in UTC", s)
}

// parseSums reads lines of "sha256 size path".
func parseSums(s string) (map[string]ReleaseFile, error) {
	files := map[string]ReleaseFile{}
	for line := range strings.SplitSeq(s, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("line %q is not digest, size, path", line)
		}
		d, err := recipes.ParseDigest(f[0])
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || size < 0 || !cleanPath(f[2]) {
			return nil, fmt.Errorf("line %q is not digest, size, path", line)
		}
		if old, ok := files[f[2]]; ok && old != (ReleaseFile{d, size}) {
			return nil, fmt.Errorf("%s is listed twice with different digests", f[2])
		}
		files[f[2]] = ReleaseFile{d, size}
	}
	return files, nil
}

// check holds the file to the wanted suite and to its own dates.
func (r *Release) check(c ReleaseCheck) error {
	if r.Codename != c.Suite && r.Suite != c.Suite {
		return fmt.Errorf("it is of suite %q, codename %q; wanted %s", r.Suite, r.Codename, c.Suite)
	}
	// A signer's clock may be a little ahead of ours.
	if r.Date.After(c.Now.Add(24 * time.Hour)) {
		return fmt.Errorf("its date %s lies in the future; is the clock of this machine right?", r.Date.Format(time.RFC3339))
	}
	if !c.Snapshot && !r.ValidUntil.IsZero() && c.Now.After(r.ValidUntil) {
		return fmt.Errorf("%w: valid until %s; the mirror is stale, use another one (--mirror)", ErrExpired, r.ValidUntil.Format(time.RFC3339))
	}
	if len(r.Files) == 0 {
		return errors.New("it lists no file by SHA256")
	}
	return nil
}
