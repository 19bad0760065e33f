package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A signal in the middle of a download ends the command with 130 at once, and
// leaves neither lock nor layout nor temporary files.
func TestInterrupt(t *testing.T) {
	inherited := signal.Ignored(syscall.SIGHUP) // the tests run under nohup
	for _, one := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if one == syscall.SIGHUP && inherited {
			continue
		}
		t.Run(one.String(), func(t *testing.T) {
			ended(t, one)
			// A terminal that is gone is told of twice: this one must not end the test.
			if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			heedHangups()
		})
	}
	t.Run("nohup", func(t *testing.T) {
		signal.Ignore(syscall.SIGHUP)
		ended(t, syscall.SIGHUP, syscall.SIGINT)
	})
	if !inherited {
		heedHangups()
	}
}

// heedHangups takes back what has SIGHUP ignored: Reset alone leaves Ignored
// as it is.
func heedHangups() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	signal.Stop(c)
}

// ended sends signals, of which the last has to end a command.
func ended(t *testing.T, signals ...syscall.Signal) {
	asked := make(chan struct{}, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		w.Write(make([]byte, 1000))
		w.(http.Flusher).Flush()
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	var out, errs bytes.Buffer
	done := make(chan int)
	go func() {
		done <- run([]string{"push", "base-alpine", "--mirror", "alpine=" + server.URL, "--cache", "store", "--progress", "quiet"}, &out, &errs)
	}()
	select {
	case <-asked:
	case got := <-done:
		t.Fatalf("it ended before the download, exit %d: %s", got, errs.String())
	}
	for i, one := range signals {
		if err := syscall.Kill(os.Getpid(), one); err != nil {
			t.Fatal(err)
		}
		if i == len(signals)-1 {
			break
		}
		select {
		case got := <-done:
			t.Fatalf("%v ended it, exit %d: %s", one, got, errs.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	select {
	case got := <-done:
		if got != 130 || !strings.Contains(errs.String(), "error: interrupted") {
			t.Errorf("exit %d: %s", got, errs.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on after an interrupt")
	}
	for _, pattern := range []string{"*.lock", "shudl-images/*", "store/tmp/*", "store/sha256/*"} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
