package publish_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
)

// crashIn makes this test binary a process that publishes into a layout until
// it is killed.
const crashIn = "SHUDL_TEST_CRASH_IN"

// TestLayoutAfterCrash kills a publishing process at any moment: every tag
// that is there names a whole image, and the next publication completes it.
func TestLayoutAfterCrash(t *testing.T) {
	if dir := os.Getenv(crashIn); dir != "" {
		publishForEver(t, dir)
		return
	}
	dir := t.TempDir()
	key, _, err := attest.UserKey(t.Context(), filepath.Join(dir, "key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o755); err != nil {
		t.Fatal(err)
	}
	dest := destination(t, "oci:"+filepath.Join(dir, "images"))
	repo, _ := dest.Repository("postgresql")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	tagged := 0
	for round := range 4 {
		after := time.Duration(random.IntN(40)) * time.Millisecond
		if round == 3 {
			after = time.Second // long enough to have tagged something
		}
		killPublisher(t, dir, after)
		for i := range 10 {
			if complete(t, repo, fmt.Sprintf("17.%d", i), key) {
				tagged++
			}
		}
	}
	if tagged == 0 {
		t.Error("nothing was ever tagged: the processes died too early to show anything")
	}
	for i := range 10 {
		mustPublish(t, dest, numbered(t, i, filepath.Join(dir, "store")), publish.Options{Signer: key})
		if !complete(t, repo, fmt.Sprintf("17.%d", i), key) {
			t.Errorf("17.%d is missing", i)
		}
	}
}

func numbered(t *testing.T, i int, store string) publish.Release {
	s := postgresql()
	s.version = fmt.Sprintf("17.%d", i)
	s.content = s.version
	return s.release(t, store)
}

// killPublisher starts a publisher and kills it some time after its first
// steps.
func killPublisher(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLayoutAfterCrash$")
	cmd.Env = append(os.Environ(), crashIn+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the publisher did not start: %v", err)
	}
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
}

// publishForEver publishes ten images in turn, at most for a minute.
func publishForEver(t *testing.T, dir string) {
	key, _, err := attest.UserKey(context.Background(), filepath.Join(dir, "key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var releases []publish.Release
	for i := range 10 {
		releases = append(releases, numbered(t, i, filepath.Join(dir, "store")))
	}
	fmt.Println("ready")
	end := time.Now().Add(time.Minute)
	for turn := 0; time.Now().Before(end); turn++ {
		dest := publish.NewLayout(filepath.Join(dir, "images"))
		if _, err := publish.Publish(context.Background(), dest, releases[turn%10], publish.Options{Signer: key}); err != nil {
			t.Fatal(err)
		}
	}
}
