package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxInput bounds what a sandbox is handed, in bytes.
const maxInput = 256 << 20

// interrupted is the exit status of a sandbox that ended in its midst.
const interrupted = 130

// Enter is the other side of Run: it finishes the sandbox that this process
// was started in and calls inside with what Run was given. With a signal, and
// with the parent, this process ends on the spot, and all in the sandbox with
// it; Run's caller clears up. args are those behind Command.Args.
func Enter(ctx context.Context, args []string, inside func(ctx context.Context, input []byte, output io.Writer) error) error {
	if len(args) > 0 && args[0] == waiting {
		return again()
	}
	in, out := os.NewFile(inputFD, "input"), os.NewFile(outputFD, "output")
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	over := context.AfterFunc(ctx, func() { os.Exit(interrupted) })
	defer over()
	// What is started from here must not hold the ends of its pipes.
	syscall.CloseOnExec(inputFD)
	syscall.CloseOnExec(outputFD)
	reader := bufio.NewReader(in)
	input, err := read(reader)
	if err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	if err := furnish(); err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, reader)
		os.Exit(interrupted) // the parent is gone
	}()
	go reap(ctx)
	return errors.Join(inside(ctx, input, out), out.Close())
}

// again waits until the ids are mapped, which is when the input comes, and
// starts this program anew: only a program that begins as root is root in its
// namespace.
func again() error {
	poll := []unix.PollFd{{Fd: inputFD, Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, -1); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if os.Getuid() != 0 {
		return errors.New("the sandbox has no ids")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args[:len(os.Args)-1], os.Environ())
}

// read takes a length and so many bytes.
func read(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseUint(strings.TrimSpace(line), 10, 31)
	if err != nil || size > maxInput {
		return nil, fmt.Errorf("a length of %q", line)
	}
	data := make([]byte, size)
	_, err = io.ReadFull(r, data)
	return data, err
}

// furnish makes the namespaces usable: mounts that stay inside, processes as
// they are seen here, and a loopback interface that is up.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts inside: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("bring the loopback interface up: %w", err)
	}
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 {
		return errors.Join(fmt.Errorf("the sandbox has %d network interfaces, want loopback alone", len(interfaces)), err)
	}
	return nil
}

// loopback brings the interface up: netdevice(7).
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request)
}
