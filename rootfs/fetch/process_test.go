package fetch

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the tests start this binary again as another process.
func TestMain(m *testing.M) {
	switch os.Getenv("FETCH_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "fetch":
		os.Exit(childFetch())
	case "hang":
		os.Exit(childHang())
	}
}

// childFetch fetches 40 files into the store and says what it read there.
func childFetch() int {
	syscall.Umask(0o077)
	s, err := OpenStore(os.Getenv("FETCH_TEST_STORE"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	f := &Fetcher{Store: s, Mirrors: Mirrors{Maven: {os.Getenv("FETCH_TEST_MIRROR")}}}
	for i := range 40 {
		body := fileBody(i)
		a := artifact(body)
		a.Path = fmt.Sprintf("file/%d", i)
		err := f.Artifact(context.Background(), a)
		if err == nil {
			err = s.SetRecord("test", "shared", []byte(strings.Repeat(fmt.Sprint(os.Getpid()), 1000)))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

func fileBody(i int) string { return strings.Repeat(fmt.Sprintf("file %d\n", i), 5_000) }

// childHang writes most of an object and of a download, and waits to be killed.
func childHang() int {
	s, err := OpenStore(os.Getenv("FETCH_TEST_STORE"))
	if err != nil {
		return 1
	}
	unlock, err := s.Lock(context.Background(), "held")
	if err != nil {
		return 1
	}
	defer unlock()
	w, err := s.Create(context.Background())
	if err != nil {
		return 1
	}
	io.WriteString(w, strings.Repeat("x", 1<<20))
	f := &Fetcher{Store: s, Mirrors: Mirrors{Maven: {os.Getenv("FETCH_TEST_MIRROR")}}}
	go func() {
		time.Sleep(300 * time.Millisecond)
		fmt.Println("ready")
	}()
	f.Artifact(context.Background(), artifact(fileBody(1)))
	return 0
}

func child(t *testing.T, what, store, mirror string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "FETCH_TEST_CHILD="+what, "FETCH_TEST_STORE="+store, "FETCH_TEST_MIRROR="+mirror)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestProcessesShareAStore(t *testing.T) {
	dir := t.TempDir()
	m := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		var i int
		fmt.Sscanf(r.URL.Path, "/file/%d", &i)
		io.WriteString(w, fileBody(i))
	})
	var all []*exec.Cmd
	for range 4 {
		cmd := child(t, "fetch", dir, m.URL)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	s := openStore(t, dir)
	for i := range 40 {
		if read(t, s, digestOf(fileBody(i))) != fileBody(i) {
			t.Errorf("file %d has other bytes", i)
		}
	}
	if _, ok := s.Record("test", "shared"); !ok {
		t.Error("the shared record is torn")
	}
	u, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u.Objects.Files != 40 || u.Partial.Files != 0 || u.Leftover.Files != 0 {
		t.Errorf("the store holds %+v", u)
	}
	if m.count() != 40 {
		t.Errorf("%d downloads of 40 files", m.count())
	}
	checkModes(t, dir)
}

// checkModes holds the store to its own folder's permissions, whatever the
// umask of those who wrote in it.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	top, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		info, _ := d.Info()
		if d.IsDir() && info.Mode().Perm() != top.Mode().Perm() {
			t.Errorf("%s: %v, the store %v", path, info.Mode(), top.Mode())
		}
		if strings.Contains(path, "/"+objectsDir+"/") && !d.IsDir() && info.Mode() != 0o444 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	})
}

func TestKilledProcessLeavesNothingWrong(t *testing.T) {
	dir := t.TempDir()
	body := fileBody(1)
	slow := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body[:10_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	cmd := child(t, "hang", dir, slow.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()

	s := openStore(t, dir)
	unlock, err := s.Lock(t.Context(), "held") // a dead process holds nothing
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if u, _ := s.Usage(t.Context()); u.Objects.Files != 0 || u.Partial.Files != 1 || u.Leftover.Files == 0 {
		t.Errorf("after the kill: %+v", u)
	}
	m := newMirror(t, serve(body))
	f := &Fetcher{Store: s, Mirrors: Mirrors{Maven: {m.URL}}}
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	if read(t, s, digestOf(body)) != body {
		t.Error("other bytes")
	}
	if got := m.requests[0].Header.Get("Range"); got != "bytes=10000-" {
		t.Errorf("it did not go on where the killed process was: Range %q", got)
	}
	old := time.Now().Add(-2 * leftoverAge)
	left, _ := filepath.Glob(filepath.Join(dir, tmpDir, "*"))
	for _, path := range left {
		os.Chtimes(path, old, old)
	}
	if _, err := s.GC(t.Context(), GCOptions{}); err != nil {
		t.Fatal(err)
	}
	if u, _ := s.Usage(t.Context()); u.Leftover.Files != 0 || u.Objects.Files != 1 {
		t.Errorf("after collection: %+v", u)
	}
}
