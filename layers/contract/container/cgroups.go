package container

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// RemoveCgroups removes the empty control groups of containers whose ids begin
// with prefix, which a runtime leaves behind when it ends in their midst:
// cgroups(7).
func RemoveCgroups(prefix string) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return
	}
	for _, folder := range groupFolders(string(data)) {
		removeGroups(filepath.Join("/sys/fs/cgroup", folder), prefix)
	}
}

// groupFolders are the folders below /sys/fs/cgroup in which runtimes make the
// group of a container without a path, by the caller's proc_pid_cgroup(5).
// Those of version 1 lie in a folder for each controller, where runc makes it
// in the caller's group. In version 2, where processes are in leaves alone,
// runc makes it beside the caller's, and crun at the top, else beside it.
func groupFolders(cgroup string) []string {
	var folders []string
	for line := range strings.Lines(cgroup) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for _, controller := range []string{strings.TrimPrefix(fields[1], "name="), "", "unified"} {
			for _, group := range []string{fields[2], filepath.Dir(fields[2]), "/"} {
				if folder := filepath.Join("/", controller, group); !slices.Contains(folders, folder) {
					folders = append(folders, folder)
				}
			}
		}
	}
	return folders
}

// removeGroups reads the folder instead of matching a pattern: names of
// systemd's units have backslashes, which mean something else there.
func removeGroups(folder, prefix string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // most are no folders of this machine
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), prefix+"-") {
			os.Remove(filepath.Join(folder, e.Name())) // refused while something is in it
		}
	}
}
