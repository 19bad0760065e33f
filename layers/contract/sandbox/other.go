//go:build !linux

package sandbox

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

// Detect gives what an ordinary user has; no sandbox can be started.
func Detect() IDs { return OneID }

// Run is an error: namespaces are Linux's.
func Run(context.Context, Command) error {
	return fmt.Errorf("%w: containers need Linux, this is %s", ErrNoNamespaces, runtime.GOOS)
}

// Enter is an error: no sandbox can be started.
func Enter(context.Context, []string, func(context.Context, []byte, io.Writer) error) error {
	return ErrNoNamespaces
}
