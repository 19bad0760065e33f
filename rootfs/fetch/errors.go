package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

// ErrOffline says that something is neither in the store nor in the bundle,
// and that nothing may be asked over the network.
var ErrOffline = errors.New("not in the store, and the network is not used (--offline)")

// Attempt is one mirror that was asked in vain.
type Attempt struct {
	Mirror string // the address that was asked, without credentials
	Err    error
}

// MirrorError says that no mirror gave a file.
type MirrorError struct {
	Image   string // what it is for; empty where that is not known
	Archive string // alpine, debian, debian-security, maven, pypi, go; empty for a plain URL
	Path    string
	Tried   []Attempt
}

func (e *MirrorError) Error() string {
	var b strings.Builder
	if e.Image != "" {
		b.WriteString(e.Image + ": ")
	}
	switch {
	case len(e.Tried) == 0:
		fmt.Fprintf(&b, "fetch %s: no mirror of %q is known", e.Path, e.Archive)
	case e.Archive == "":
		fmt.Fprintf(&b, "fetch %s", e.Path)
	default:
		fmt.Fprintf(&b, "fetch %s: no mirror of %q gave it", e.Path, e.Archive)
	}
	for _, a := range e.Tried {
		fmt.Fprintf(&b, "\n  %s: %v", a.Mirror, a.Err)
	}
	return b.String()
}

// Unwrap gives the cause at each mirror.
func (e *MirrorError) Unwrap() []error {
	errs := make([]error, len(e.Tried))
	for i, a := range e.Tried {
		errs[i] = a.Err
	}
	return errs
}

// NotFound says that every mirror answered, and none has a file of that name
// any more.
func (e *MirrorError) NotFound() bool {
	return e.all(func(err error) bool { return errors.Is(err, fs.ErrNotExist) })
}

// Gone says that no mirror has the very file any more: there is none of that
// name, or another one has taken it, as a newer index does.
func (e *MirrorError) Gone() bool {
	return e.all(func(err error) bool {
		var size *SizeError
		var content *MismatchError
		return errors.Is(err, fs.ErrNotExist) || errors.As(err, &size) || errors.As(err, &content)
	})
}

// all says whether the answer of every mirror is such. Debian's snapshot
// service is asked last and not reached from everywhere: that it does not
// answer changes nothing.
func (e *MirrorError) all(such func(error) bool) bool {
	answers := 0
	for _, a := range e.Tried {
		switch {
		case such(a.Err):
			answers++
		case !strings.HasPrefix(a.Mirror, snapshotDebian+"/"):
			return false
		}
	}
	return answers > 0
}

// Help names the ways on, one a line.
func (e *MirrorError) Help() []string {
	if e.Archive == "" {
		return []string{"--offline --bundle FILE builds from what `fetch --bundle FILE` wrote on a machine with a network"}
	}
	help := []string{
		fmt.Sprintf("--mirror %s=URL asks another mirror (a folder too: --mirror %[1]s=file:DIR)", e.Archive),
		"--offline --bundle FILE builds from what `fetch --bundle FILE` wrote on a machine with a network",
	}
	if e.Archive == "alpine" {
		help = append(help, "--distro debian makes the same images from Debian")
	}
	return help
}

// StatusError is an HTTP answer that is not the file.
type StatusError struct{ Code int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("HTTP %d %s", e.Code, http.StatusText(e.Code))
}

// Is makes 404 and 410 a missing file, and 401 and 403 a forbidden one.
func (e *StatusError) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Code == http.StatusNotFound || e.Code == http.StatusGone
	case fs.ErrPermission:
		return e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden
	}
	return false
}

// storeError is a fault of the store: to ask another mirror does not help.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// SizeError says that a file is not as long as it must be.
type SizeError struct {
	Got, Want int64 // bytes; Got is -1 where the download was ended above Want
}

func (e *SizeError) Error() string {
	if e.Got < 0 {
		return fmt.Sprintf("more than %d bytes", e.Want)
	}
	return fmt.Sprintf("%d bytes, not %d", e.Got, e.Want)
}
