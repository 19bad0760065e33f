package generate

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/shudl/shudl-assemble/rootfs"
)

// Where certificates lie on both distros.
const (
	certificates = "usr/share/ca-certificates"
	bundle       = "etc/ssl/certs/ca-certificates.crt"
	cacerts      = "etc/ssl/certs/java/cacerts"
)

// caBundle writes what update-ca-certificates would write: all certificates
// of usr/share/ca-certificates in the order of their names, one after the
// other, and the list of them. Where a package brings the bundle itself, as
// Alpine's does, nothing is made.
func caBundle(ctx context.Context, in Input) ([]rootfs.Entry, error) {
	if e, ok := in.View.Lookup(bundle); ok && strings.HasPrefix(e.Owner, "pkg:") {
		return nil, nil
	}
	var list, all bytes.Buffer
	for _, e := range in.View.All() {
		name, ok := strings.CutPrefix(e.Path, certificates+"/")
		if !ok || e.Type != rootfs.Regular || path.Ext(name) != ".crt" {
			continue
		}
		data, err := in.Read(ctx, e.Path)
		if err != nil {
			return nil, err
		}
		if block, _ := pem.Decode(data); block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s is no certificate in PEM", e.Path)
		}
		fmt.Fprintln(&list, name)
		all.Write(bytes.TrimRight(data, "\n"))
		all.WriteByte('\n')
	}
	if all.Len() == 0 {
		return nil, fmt.Errorf("no certificate below %s: the layer wants the package ca-certificates", certificates)
	}
	return []rootfs.Entry{in.File("etc/ca-certificates.conf", 0o644, list.Bytes()), in.File(bundle, 0o644, all.Bytes())}, nil
}

// javaCacerts writes the CA bundle as the trust store that the runtime's
// lib/security/cacerts links to: PKCS#12 (RFC 7292) without a password, which
// Java reads with any or none, and without salts, so that it is the same on
// every run.
func javaCacerts(ctx context.Context, in Input) ([]rootfs.Entry, error) {
	data, err := in.Read(ctx, bundle)
	if err != nil {
		return nil, fmt.Errorf("the CA bundle of the base: %w", err)
	}
	var entries []pkcs12.TrustStoreEntry
	for n := 1; ; n++ {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s, certificate %d: %w", bundle, n, err)
		}
		// Aliases must differ, and subjects do not.
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: fmt.Sprintf("%03d %s", n, cert.Subject.CommonName)})
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", bundle)
	}
	store, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
	if err != nil {
		return nil, fmt.Errorf("java trust store: %w", err)
	}
	return []rootfs.Entry{in.File(cacerts, 0o644, store)}, nil
}
