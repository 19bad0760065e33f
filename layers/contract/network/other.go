//go:build !linux

package network

import "errors"

// Network is one of Linux alone.
type Network struct{ Names }

var errLinux = errors.New("networks of containers need Linux")

// New is an error: namespaces are Linux's.
func New(_, _ []string) (*Network, error) { return nil, errLinux }

// Path is never asked for.
func (*Network) Path(string) string { return "" }

// Cut is an error.
func (*Network) Cut(string) error { return errLinux }

// Heal is an error.
func (*Network) Heal(string) error { return errLinux }

// Close has nothing to end.
func (*Network) Close() error { return nil }
