package container

import (
	"os"
	"path/filepath"
	"testing"
)

// The group of a container is found wherever a runtime makes it, as seen from
// a session of systemd, and nothing but that goes.
func TestRemoveCgroups(t *testing.T) {
	const v1 = "4:memory:/user.slice/session\\x2d1.scope\n1:name=systemd:/user.slice/session\\x2d1.scope\n0::/\n"
	const v2 = "0::/user.slice/session\\x2d1.scope\n"
	for _, one := range []struct{ cgroup, group string }{
		{v1, "memory/user.slice/session\\x2d1.scope/shudl-test-1-main-1"},
		{v1, "systemd/user.slice/session\\x2d1.scope/shudl-test-1-main-1"},
		{v1, "memory/shudl-test-1-main-1"},        // crun
		{v1, "unified/shudl-test-1-main-1"},       // hybrid
		{v2, "user.slice/shudl-test-1-main-1"},    // runc
		{v2, "shudl-test-1-main-1"},               // crun
		{"0::/\n", "shudl-test-1-main-1"},         // in a container
		{"0::/\n", "unified/shudl-test-1-main-1"}, // the same, hybrid
	} {
		root := t.TempDir()
		other := filepath.Join(filepath.Dir(one.group), "shudl-test-12-main-1")
		for _, group := range []string{one.group, other} {
			if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, folder := range groupFolders(one.cgroup) {
			removeGroups(filepath.Join(root, folder), "shudl-test-1")
		}
		if _, err := os.Stat(filepath.Join(root, one.group)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", one.group, err)
		}
		if _, err := os.Stat(filepath.Join(root, other)); err != nil {
			t.Errorf("%s of another run: %v", other, err)
		}
	}
}
