// Package sandbox runs a part of this program where what it starts can do no
// harm: in a network that begins as loopback alone and has no way out, with
// mounts and processes of its own, and, without root, in a user namespace. When
// the sandbox ends, whatever runs in it ends, too.
package sandbox

import (
	"errors"
	"io"
)

// IDs says which user ids a sandbox has.
type IDs string

// The kinds of sandbox.
const (
	// AllIDs is root's: every id is what it is.
	AllIDs IDs = "root"
	// RangeIDs has the ids that /etc/subuid delegates to the user.
	RangeIDs IDs = "delegated ids"
	// OneID has a single id, which is 0 inside: the user's own.
	OneID IDs = "one id"
)

// Command is how a sandbox is started.
type Command struct {
	// Args is this program and the arguments by which it calls Enter.
	Args []string
	// Input is handed to it; Output reads what it says, until its end.
	Input  []byte
	Output func(io.Reader) error
	// Stderr receives its messages.
	Stderr io.Writer
}

// ErrNoNamespaces says that this machine gives none.
var ErrNoNamespaces = errors.New("this machine gives no namespaces")
