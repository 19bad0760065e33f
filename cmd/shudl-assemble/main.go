// Command shudl-assemble makes the ShuDL images without Docker, without root
// and without a daemon, and publishes them signed and described.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole command. The first interrupt ends what is going on, with
// clean-up; the second ends the process. A shell and the kernel both tell that a
// terminal is gone: what comes after the first end is no second one then.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP)
		stop()
	})
	app := &app{stdout: stdout, stderr: stderr}
	root := app.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	app.close()
	if err == nil {
		return int(statusDone)
	}
	if ctx.Err() != nil {
		err = errInterrupted
	}
	report(stderr, err)
	return int(statusOf(err))
}

// endings are the signals that ask for an end: an interrupt, a stop, and a
// terminal that goes away, unless nohup(1) has that one ignored.
func endings() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}
