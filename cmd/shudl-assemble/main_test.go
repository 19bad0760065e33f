package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// TestMain makes this binary the command that the scripts run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shudl-assemble": main})
}

// TestScripts runs the command as a user would: testdata/script/*.txtar.
// Conditions: [shared] where the shared Alpine data lies beside the
// repository (SHARED names it, ALPINE_RECIPES the tests' recipes that it
// serves), [network] where SHUDL_TEST_NETWORK=1.
func TestScripts(t *testing.T) {
	shared := sharedAlpine(t)
	recipes, err := filepath.Abs("../../rootfs/resolve/testdata/alpine")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("GOPROXY", "off")
			e.Setenv("SHARED", shared)
			e.Setenv("ALPINE_RECIPES", recipes)
			return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"keypair": keyPair, "lock-of-files": lockOfFiles, "exits": exits, "corrupt": corrupt, "copy-tree": copyTree, "flip": flip,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "shared":
				return shared != "", nil
			case "network":
				return os.Getenv("SHUDL_TEST_NETWORK") == "1", nil
			}
			return false, os.ErrInvalid
		},
	})
}

// exits is the script command `exits STATUS ARG...`: it runs the program, which
// must end with that status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS ARG...")
	}
	err := ts.Exec("shudl-assemble", args[1:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// corrupt is the script command `corrupt DIR`: it puts another file in the
// place of every object of the store in DIR. `corrupt -linked DIR` changes
// those that a layout holds by a hard link, there and in the store.
func corrupt(ts *testscript.TestScript, neg bool, args []string) {
	linked := len(args) == 2 && args[0] == "-linked"
	if neg || len(args) != 1 && !linked {
		ts.Fatalf("usage: corrupt [-linked] DIR")
	}
	objects, err := filepath.Glob(filepath.Join(ts.MkAbs(args[len(args)-1]), "sha256", "*"))
	ts.Check(err)
	changed := 0
	for _, name := range objects {
		info, err := os.Stat(name)
		ts.Check(err)
		if linked && info.Sys().(*syscall.Stat_t).Nlink == 1 {
			continue
		}
		data, err := os.ReadFile(name)
		ts.Check(err)
		if linked {
			ts.Check(os.Chmod(name, 0o644))
		} else {
			ts.Check(os.Remove(name)) // a layout may have it by a hard link
		}
		if len(data) > 0 {
			data[len(data)/2] ^= 1
		}
		ts.Check(os.WriteFile(name, data, 0o444))
		changed++
	}
	if changed == 0 {
		ts.Fatalf("no objects in %s", args[len(args)-1])
	}
}

// copyTree is the script command `copy-tree FROM TO`.
func copyTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copy-tree FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// flip is the script command `flip FROM TO`: a copy that has one bit changed.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FROM TO")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}

// keyPair is the script command `keypair NAME [PASSWORD]`: it makes NAME.key
// and NAME.pub.
func keyPair(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: keypair NAME [PASSWORD]")
	}
	private, public, err := attest.GenerateKey([]byte(strings.Join(args[1:], " ")))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), private, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), public, 0o644))
}

// sharedAlpine finds the real, signed Alpine data beside the repository. A
// machine without it runs the other scripts; CI must have it.
func sharedAlpine(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/alpine")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "v3.19")); err == nil {
		return dir
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("the shared Alpine data (../shared/alpine beside the repository) is missing in CI")
	}
	t.Log("the scripts that need real Alpine data are skipped: ../shared/alpine beside the repository is missing")
	return ""
}
