package become

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// program writes the program for this machine into a file.
func program(t *testing.T, uid, gid int) string {
	t.Helper()
	data, err := Program(runtime.GOARCH, uid, gid)
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "become")
	if err := os.WriteFile(file, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// alone runs a command as the only user of a user namespace, as a container
// without delegated ids does.
func alone(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"KEPT=yes", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this machine gives no user namespace: %v", err)
	}
	return string(out), err
}

func TestItBecomesAnother(t *testing.T) {
	for _, tool := range []string{"/bin/sh", "/usr/bin/id", "/bin/grep"} {
		if _, err := os.Stat(tool); err != nil {
			t.Skipf("nothing to run as another user: %v", err)
		}
	}
	out, err := alone(t, program(t, 999, 4711), "/bin/sh", "-c", `id -u; id -g; echo "$1 $KEPT"; grep -E 'Cap(Eff|Prm)' /proc/self/status; exit 7`, "-", "two words")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("%v: %s", err, out)
	}
	want := "999\n4711\ntwo words yes\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
	if out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestItFailsWhereThereIsNoProgram(t *testing.T) {
	out, err := alone(t, program(t, 999, 999), "/nowhere/at/all")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != Failed {
		t.Errorf("%v: %s", err, out)
	}
}

// Other readers of ELF find one program of the machine, whose stack cannot be
// executed.
func TestFormat(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		data, err := Program(arch, 1<<31-1, 1)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if f.Machine != machine || f.Entry != base+codeAt || len(f.Progs) != 2 || f.Progs[0].Filesz != uint64(len(data)) || f.Progs[1].Flags&elf.PF_X != 0 {
			t.Errorf("%s: %+v", arch, f)
		}
		if !strings.Contains(string(data), "2147483647 0 1\n") {
			t.Errorf("%s: the user's id is not in it", arch)
		}
	}
	if _, err := Program("s390x", 1, 1); err == nil {
		t.Error("made for an architecture that it does not know")
	}
}
