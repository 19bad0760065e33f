package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// askPassword asks on the terminal that controls the process for the password
// of a key. What is typed is not shown; an interrupt leaves the terminal as it
// was.
func askPassword(ctx context.Context, path string) ([]byte, error) {
	password, err := readPassword(ctx, fmt.Sprintf("Password of the signing key %s: ", path))
	if err != nil {
		return nil, fmt.Errorf("ask for the password of %s: %w", path, err)
	}
	return password, nil
}

func readPassword(ctx context.Context, prompt string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer tty.Close()
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(tty, prompt)
	defer fmt.Fprintln(tty)
	type answer struct {
		password []byte
		err      error
	}
	typed := make(chan answer, 1)
	go func() {
		password, err := term.ReadPassword(fd)
		typed <- answer{password, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	case t := <-typed:
		return t.password, t.err
	}
}
