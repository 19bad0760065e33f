package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain makes this binary the program of its sandboxes, too.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "inside" {
		os.Exit(m.Run())
	}
	if err := Enter(context.Background(), os.Args[2:], inside); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// inside does what the input says.
func inside(_ context.Context, input []byte, output io.Writer) error {
	switch do := string(input); do {
	case "look":
		interfaces, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range interfaces {
			fmt.Fprintf(output, "%s %v\n", i.Name, i.Flags&net.FlagUp != 0)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return err
		}
		c.Close()
		fmt.Fprintf(output, "process %d, user %d\n", os.Getpid(), os.Geteuid())
	case "fail":
		return errors.New("as told")
	case "sleep":
		fmt.Fprintln(output, "asleep")
		return exec.Command("sleep", "600").Run()
	}
	return nil
}

func run(t *testing.T, ctx context.Context, input string, heard func(string)) (string, error) {
	t.Helper()
	var said, complaints strings.Builder
	err := Run(ctx, Command{Args: []string{os.Args[0], "inside"}, Input: []byte(input), Stderr: &complaints, Output: func(r io.Reader) error {
		buffer := make([]byte, 4096)
		for {
			n, err := r.Read(buffer)
			said.Write(buffer[:n])
			if heard != nil && n > 0 {
				heard(said.String())
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}})
	if errors.Is(err, ErrNoNamespaces) {
		t.Skip(err)
	}
	return said.String() + complaints.String(), err
}

// The sandbox has a loopback interface that works and nothing else, is root in
// it, and is its first process.
func TestWhatItHas(t *testing.T) {
	said, err := run(t, t.Context(), "look", nil)
	if err != nil {
		t.Fatal(err, said)
	}
	if want := "lo true\nprocess 1, user 0\n"; said != want {
		t.Errorf("got %q, want %q", said, want)
	}
}

func TestItsFailureIsHeard(t *testing.T) {
	said, err := run(t, t.Context(), "fail", nil)
	if err == nil || !strings.Contains(said, "as told") {
		t.Errorf("%v: %s", err, said)
	}
}

// A cancelled context ends the sandbox, and what runs in it, at once.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	said, err := run(t, ctx, "sleep", func(said string) {
		if strings.Contains(said, "asleep") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s: %s", err, time.Since(began), said)
	}
}

func TestSubordinate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "subuid")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]int{
		"ann:100000:65536\n":                   100000,
		"bob:100000:65536\nann:300000:65536\n": 300000,
		"1001:200000:65536":                    200000,
		"ann:1:100\nann:400000:70000\n":        400000,
		"ann:100000:1000\n":                    0,
		"annette:100000:65536\n":               0,
		"ann:x:65536\n# ann:1:65536\n":         0,
		"":                                     0,
	} {
		write(text)
		got, err := subordinate(file, "ann", "1001")
		if got.first != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
