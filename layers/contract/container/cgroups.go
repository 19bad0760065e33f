package container

import (
	"os"
	"path/filepath"
	"strings"
)

// RemoveCgroups removes the empty control groups of containers whose ids begin
// with prefix, which a runtime leaves behind when it ends in their midst:
// cgroups(7). Those of version 1 lie in a folder for each controller.
func RemoveCgroups(prefix string) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		controllers := []string{strings.TrimPrefix(fields[1], "name="), "", "unified"}
		for _, folder := range controllers {
			found, err := filepath.Glob(filepath.Join("/sys/fs/cgroup", folder, fields[2], prefix+"-*"))
			if err != nil {
				return
			}
			for _, one := range found {
				os.Remove(one) // refused while something is in it
			}
		}
	}
}
