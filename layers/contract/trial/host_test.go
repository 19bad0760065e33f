//go:build linux

package trial

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Who does not listen is killed, and is gone when that returns.
func TestTerminate(t *testing.T) {
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skipf("skipped, because there is no sleep to end here: %v", err)
	}
	for name, script := range map[string]string{"listens": "exec sleep 3600", "does not listen": "trap '' TERM; exec sleep 3600"} {
		cmd := exec.Command("sh", "-c", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			// The end is known some time after the kill.
			time.Sleep(200 * time.Millisecond)
			cmd.Wait()
			close(ended)
		}()
		comm := fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid)
		for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			if now, err := os.ReadFile(comm); err != nil || time.Now().After(limit) {
				t.Fatalf("the shell became no sleep: %q, %v", now, err)
			} else if strings.TrimSpace(string(now)) == "sleep" {
				break
			}
		}
		if err := terminate(cmd.Process, ended, 10*time.Millisecond); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		select {
		case <-ended:
		default:
			t.Errorf("who %s may still be there", name)
			<-ended
		}
	}
}
