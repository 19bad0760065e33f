package trial

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/shudl/shudl-assemble/recipes"
)

// packed gives the bytes of a file, compressed as it says.
func packed(f recipes.MountedFile) ([]byte, error) {
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch f.Compress {
	case "":
		return []byte(f.Content), nil
	case "gzip":
		w = gzip.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	default:
		return nil, fmt.Errorf("no compression %q", f.Compress)
	}
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(w, f.Content)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

// programLimit is how long a program of the host may take to be ready.
const programLimit = 30 * time.Second

// program starts a program of the host, in a folder of its own.
func (l *life) program(ctx context.Context, p recipes.Program) error {
	path, err := exec.LookPath(p.Args[0])
	if err != nil {
		return fmt.Errorf("case %s needs the program %s, which is not on this machine: %s", l.Case.Name, p.Args[0], p.Install)
	}
	dir := filepath.Join(l.dir, "program-"+p.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer output.Close()
	cmd := exec.Command(path, p.Args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	l.helpers = append(l.helpers, func() error {
		if err := terminate(cmd.Process, ended, 5*time.Second); err != nil {
			return fmt.Errorf("program %s: %w", p.Name, err)
		}
		return nil
	})
	return l.ready(ctx, p, ended, output.Name())
}

// terminate ends a process and returns when it has ended, so that its folder
// can go: by SIGTERM, and by SIGKILL where that does not do it in time.
func terminate(p *os.Process, ended <-chan struct{}, grace time.Duration) error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-ended:
		return nil
	case <-time.After(grace):
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-time.After(20 * time.Second):
		return fmt.Errorf("process %d does not end", p.Pid)
	}
}

// ready waits until a program answers.
func (l *life) ready(ctx context.Context, p recipes.Program, ended <-chan struct{}, output string) error {
	if p.Ready == "" {
		return nil
	}
	limit := time.Now().Add(programLimit)
	for {
		err := l.request(ctx, recipes.Step{URL: p.Ready}, func([]byte) error { return nil })
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(output)
			return fmt.Errorf("program %s ended: %s", p.Name, shorten(string(said)))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(polling):
		}
		if time.Now().After(limit) {
			return fmt.Errorf("program %s is not ready after %s: %w", p.Name, programLimit, err)
		}
	}
}

// serveTLS makes an authority that nobody trusts, and serves HTTPS for
// localhost by a certificate of it.
func (l *life) serveTLS() error {
	ca, pair, err := authority()
	if err != nil {
		return err
	}
	l.ca = ca
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Authority.Port)))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "trusted\n") }),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{pair}},
		ReadHeaderTimeout: requestLimit,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that refuse it are what it is for
	}
	go server.ServeTLS(listener, "", "")
	l.helpers = append(l.helpers, server.Close)
	return nil
}

// authority gives the PEM of a new authority, and a certificate that it signed
// with its key.
func authority() ([]byte, tls.Certificate, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shudl contract test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, server, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: caDER}
	return pem.EncodeToMemory(block), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
